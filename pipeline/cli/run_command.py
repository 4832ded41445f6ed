"""`din run`: it runs the whole pipeline, and shows the progress and the summary on the terminal."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.errors import InputError
from components.base.stores import check_store
from pipeline.cli.arguments import Commands, add_command, add_json, add_settings, add_workspace, data_path
from pipeline.terminal import complain, say

if TYPE_CHECKING:  # `din --help` is quicker without them
    from pipeline.configuration.pipeline_config import PipelineConfig
    from pipeline.records.summary import Summary


def add_commands(commands: Commands) -> None:
    run = add_command(commands, "run", "run the whole pipeline: train a model, evaluate it, and push it if it passes all gates")
    config = "a TOML file, or the name of a shipped configuration: demo, notebook, movielens, … (default: the default of every setting)"
    run.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(run)
    data = (
        "a folder, also one in an object store (s3://BUCKET/FOLDER), with train/, validation/ and eval/, each with TFRecord files, or with "
        "spans (default: make synthetic impressions first)"
    )
    run.add_argument("--data", type=data_path, metavar="DIR|URL", help=data)
    span = "the span of --data to judge a model on: latest, a day (2026-11-24 for day=2026-11-24/) or a number (7 for span-7/)"
    run.add_argument("--span", metavar="latest|DAY|N", help=span)
    window = "train on the spans of the last N days before it (default: spans.window of the configuration)"
    run.add_argument("--window", type=int, metavar="N", help=window)
    until = "run every span up to --span (default: latest) that was not run yet, oldest first; stop at the first that is refused or fails"
    run.add_argument("--until-current", action="store_true", help=until)
    changed = "with --until-current: run the last span again, too, if its data or that of its window has changed"
    run.add_argument("--rerun-changed", action="store_true", help=changed)
    requests = "a folder of logged requests (din serve --log-requests), which the training data is compared with"
    run.add_argument("--requests", type=Path, metavar="DIR", help=requests)
    add_workspace(run)
    output = run.add_mutually_exclusive_group()
    add_json(output, "the summary of the run as one JSON object")
    logs = "json: print each event as one JSON object a line, the last one with the summary (default: text)"
    output.add_argument("--log-format", choices=["text", "json"], default="text", help=logs)
    run.set_defaults(call=_run)


def _run(args: argparse.Namespace) -> int:
    from din_trainer.training.threads import share_cores
    from pipeline.configuration.load_config import load_config
    from pipeline.terminal import interrupt_on_sigterm

    _check_spans(args)
    window = [] if args.window is None else [f"spans.window={args.window}"]
    requests = [f"requests={json.dumps(str(args.requests), ensure_ascii=False)}"] if args.requests else []
    config = load_config(args.config, [*args.settings, *window, *requests])
    share_cores()
    interrupt_on_sigterm()
    if args.until_current:
        return _run_until_current(config, args)
    summary = _run_once(config, args, args.span)
    if args.json:
        say(json.dumps(summary.as_json()))
    return _exit_code(summary, args)


def _check_spans(args: argparse.Namespace) -> None:
    """Checks that the data can be listed, and that the options on spans fit together and fit the data.

    Raises:
        InputError: They do not.
    """
    from pipeline.datasets.spans import has_spans

    if args.data:
        check_store(args.data)
    asked = "--span" if args.span is not None else "--until-current" if args.until_current else None
    if asked and args.data is None:
        raise InputError(f"{asked} needs --data: name the folder that holds the spans.")
    if args.window is not None and not asked:
        raise InputError("--window needs --span or --until-current: write --span latest, or the span to judge a model on.")
    if args.rerun_changed and not args.until_current:
        raise InputError("--rerun-changed needs --until-current; --span runs a span again.")
    if args.data and not asked and has_spans(args.data):
        raise InputError(f"{args.data} holds spans: name the one to judge a model on with --span, or run all with --until-current.")


def _run_until_current(config: "PipelineConfig", args: argparse.Namespace) -> int:
    """Runs span after span. Returns the exit code of the last run."""
    from pipeline.datasets.spans import LATEST
    from pipeline.run.spans.until_current import waiting_spans

    waiting = waiting_spans(args.data, config, args.workspace, LATEST if args.span is None else args.span, args.rerun_changed)
    names = [span.name for span in waiting.spans]
    quiet = args.json or args.log_format == "json"
    for line in [] if quiet else [*waiting.notes, f"Spans to run: {', '.join(names)}." if names else "No span waits for a run."]:
        say(line)
    summaries: list[Summary] = []
    for name in names:
        summaries.append(_run_once(config, args, name))
        if _exit_code(summaries[-1], args):
            break
    if args.json:
        say(json.dumps({"spans": names, "runs": [summary.as_json() for summary in summaries], "notes": waiting.notes}))
    return summaries[-1].exit_code or 0 if summaries else 0


def _run_once(config: "PipelineConfig", args: argparse.Namespace, span: str | None) -> "Summary":
    """Runs the pipeline once, and prints everything except the JSON of `--json`."""
    from components.base.secrets import secrets_hidden_in_logs
    from pipeline.console import Console
    from pipeline.json_log import JsonLog
    from pipeline.records.run_list import LOG_FILE
    from pipeline.records.summary_tables import print_summary
    from pipeline.run.execution import Run
    from pipeline.run.run_folder import run_folder
    from pipeline.terminal import Progress, output_to

    with run_folder(args.workspace, config.name) as folder, output_to(folder / LOG_FILE) as terminal, secrets_hidden_in_logs():
        console = Console(file=terminal, quiet=args.json)
        log = JsonLog(terminal, folder.name, config.name) if args.log_format == "json" else None
        if log is None:
            console.print(f"Run {folder.name}")
        summary = Run(config, args.data, folder, log or Progress(console), span).execute()
        if log is not None:
            log.end(summary)
        elif not args.json:
            print_summary(summary, console)
    return summary


def _exit_code(summary: "Summary", args: argparse.Namespace) -> int:
    """Returns the exit code of a run that has ended, and says on stderr why it failed."""
    from pipeline.records.summary import ERROR_STATUSES

    if summary.status in ERROR_STATUSES or (args.json and summary.refused_because):
        complain(str(summary.refused_because))
    assert summary.exit_code is not None  # every run that returns has ended
    return summary.exit_code
