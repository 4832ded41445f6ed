"""`din report` and `din runs`: they show what earlier runs did."""

import argparse
import json
from pathlib import Path

from pipeline.cli.arguments import Commands, add_command, add_json, add_workspace
from pipeline.terminal import say


def add_commands(commands: Commands) -> None:
    report = add_command(commands, "report", "write the report of a run as HTML, which any browser opens without a network")
    add_workspace(report)
    which = report.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="the run, by an id that din runs lists (default: the last run that was evaluated)")
    which.add_argument("--compare", nargs=2, metavar="ID", help="compare two runs, with the differences of their configurations")
    form = report.add_mutually_exclusive_group()
    out = "write one file that has all it needs, to send it (default: in the folder of the run, with the scripts of the workspace)"
    form.add_argument("--out", type=Path, metavar="FILE.html", help=out)
    add_json(form, "the content of the report as one JSON object, without writing a file")
    report.set_defaults(call=_report)

    runs = add_command(commands, "runs", "list the runs of a workspace, their metrics and what they pushed")
    add_workspace(runs)
    add_json(runs, "the summaries of the runs as one JSON array")
    runs.set_defaults(call=_runs)


def _report(args: argparse.Namespace) -> int:
    from pipeline.report.content import latest_evaluated, read_content
    from pipeline.report.page import write_report

    if args.compare:
        return _compare(args)
    folder = args.workspace / "runs" / (args.run or latest_evaluated(args.workspace))
    content = read_content(folder, args.workspace)
    if args.json:
        say(json.dumps(content.as_json()))
        return 0
    from pipeline.console import Console
    from pipeline.records.summary import Summary
    from pipeline.records.summary_tables import print_evaluation

    print_evaluation(Summary.model_validate(content.summary), content.evaluation, Console())
    say(str(write_report(folder, args.workspace, args.out)))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from pipeline.report.compare import read_comparison, write_comparison

    first, second = (args.workspace / "runs" / run for run in args.compare)
    if args.json:
        say(json.dumps(read_comparison(first, second, args.workspace)))
    else:
        say(str(write_comparison(first, second, args.workspace, args.out)))
    return 0


def _runs(args: argparse.Namespace) -> int:
    from pipeline.records.run_list import read_summaries
    from pipeline.records.summary_tables import print_runs

    summaries = read_summaries(args.workspace)
    if args.json:
        say(json.dumps([summary.as_json() for summary in summaries]))
    elif not summaries:
        say(f"{args.workspace} has no runs yet: start one with din run.")
    else:
        from pipeline.console import Console

        print_runs(summaries, Console())
    return 0
