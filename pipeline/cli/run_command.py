"""`din run`: it runs the whole pipeline, and shows the progress and the summary on the terminal."""

import argparse
import json
from pathlib import Path

from pipeline.cli.arguments import Commands, add_command, add_json, add_settings, add_workspace


def add_commands(commands: Commands) -> None:
    run = add_command(commands, "run", "run the whole pipeline: train a model, evaluate it, and push it if it passes all gates")
    config = "a TOML file, or the name of a shipped configuration: demo, notebook, movielens, … (default: the default of every setting)"
    run.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(run)
    data = "a folder with train/, validation/ and eval/, each with TFRecord files (default: make synthetic impressions first)"
    run.add_argument("--data", type=Path, metavar="DIR", help=data)
    add_workspace(run)
    output = run.add_mutually_exclusive_group()
    add_json(output, "the summary of the run as one JSON object")
    logs = "json: print each event as one JSON object a line, the last one with the summary (default: text)"
    output.add_argument("--log-format", choices=["text", "json"], default="text", help=logs)
    run.set_defaults(call=_run)


def _run(args: argparse.Namespace) -> int:
    from components.base.secrets import secrets_hidden_in_logs
    from din_trainer.training.threads import share_cores
    from pipeline.configuration.load_config import load_config
    from pipeline.console import Console
    from pipeline.json_log import JsonLog
    from pipeline.records.run_list import LOG_FILE
    from pipeline.records.summary import ERROR_STATUSES
    from pipeline.records.summary_tables import print_summary
    from pipeline.run.execution import Run
    from pipeline.run.run_folder import run_folder
    from pipeline.terminal import Progress, complain, interrupt_on_sigterm, output_to, say

    config = load_config(args.config, args.settings)
    share_cores()
    interrupt_on_sigterm()
    with run_folder(args.workspace, config.name) as folder, output_to(folder / LOG_FILE) as terminal, secrets_hidden_in_logs():
        console = Console(file=terminal, quiet=args.json)
        log = JsonLog(terminal, folder.name, config.name) if args.log_format == "json" else None
        if log is None:
            console.print(f"Run {folder.name}")
        summary = Run(config, args.data, folder, log or Progress(console)).execute()
        if log is not None:
            log.end(summary)
        elif args.json:
            say(json.dumps(summary.as_json()), terminal)
        else:
            print_summary(summary, console)
    if summary.status in ERROR_STATUSES or (args.json and summary.refused_because):
        complain(str(summary.refused_because))
    assert summary.exit_code is not None  # every run that returns has ended
    return summary.exit_code
