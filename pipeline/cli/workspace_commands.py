"""`din clean`, `din doctor` and `din rerun`: they keep a workspace small, find what is wrong with it, and prove what a run computed."""

import argparse
import json
import re
from datetime import UTC, datetime, timedelta

from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_command, add_engine, add_json, add_settings, add_workspace, with_engine
from pipeline.terminal import complain, say

_RERUN_LOG = "rerun.txt"  # in the folder of a run: what the libraries print
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def add_commands(commands: Commands) -> None:
    clean = add_command(commands, "clean", "delete old runs, what only they used, and what killed processes left")
    add_workspace(clean)
    keep = "how many of the newest runs of each name stay (default: 20; with --older-than alone: 1)"
    clean.add_argument("--keep", type=int, metavar="N", help=keep)
    age = "delete only runs that started longer ago, e.g. 30d, 12h or 2w (default: whatever their age)"
    clean.add_argument("--older-than", type=_age, metavar="AGE", help=age)
    clean.add_argument("--dry-run", action="store_true", help="show what would be deleted, and delete nothing")
    add_json(clean, "what is deleted, with its bytes, as one JSON object")
    clean.set_defaults(call=_clean)

    doctor = add_command(commands, "doctor", "find what is wrong with this machine, a workspace and its servers, and how to correct it")
    add_workspace(doctor)
    config = "ask the serving.servers of this configuration (default: those of the last run and of the last push of each name)"
    doctor.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(doctor)
    add_engine(doctor, "look whether this engine can be used, with the settings beam.* of the configuration")
    add_json(doctor, "all of it as one JSON object")
    doctor.set_defaults(call=_doctor)

    rerun = add_command(
        commands, "rerun", "run an earlier run again without a cache, and compare its metrics to the last digit; push nothing"
    )
    add_workspace(rerun)
    rerun.add_argument("run", metavar="RUN", help="the id of the run, as din runs lists it")
    add_json(rerun, "both metrics and what differs as one JSON object")
    rerun.set_defaults(call=_rerun)


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write a number and h, d or w, e.g. 30d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _clean(args: argparse.Namespace) -> int:
    from pipeline.configuration.pipeline_config import WorkspaceConfig
    from pipeline.housekeeping.clean import clean
    from pipeline.housekeeping.cleaning_plan import plan_cleaning
    from pipeline.records.workspace_lock import locked_workspace
    from pipeline.report.text_format import size

    if args.keep is not None and args.keep < 1:
        raise InputError(f"--keep is {args.keep}: the newest run of each name always stays, so give at least 1.")
    before = None if args.older_than is None else datetime.now(UTC) - args.older_than
    keep = args.keep or (1 if before else WorkspaceConfig().keep_runs)
    if not args.workspace.is_dir():
        raise InputError(f"{args.workspace} is no folder: name a workspace with --workspace.")
    with locked_workspace(args.workspace):
        plan = plan_cleaning(args.workspace, keep, before)
        if not args.dry_run:
            clean(args.workspace, plan)
    if args.json:
        found = [{"kind": removal.kind, "path": str(removal.path), "bytes": removal.size} for removal in plan.removals]
        say(json.dumps({"dry_run": args.dry_run, "deleted": found, "bytes": plan.size, "kept_runs": sorted(plan.kept)}))
        return 0
    for removal in plan.removals:
        say(f"  {removal.kind:<15} {size(removal.size):>9}  {removal.path}")
    verb = "Would delete" if args.dry_run else "Deleted"
    say(f"{verb} {size(plan.size)}{f': {counts}' if (counts := plan.counts()) else ''}. Runs that stay: {len(plan.kept)}.")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from pipeline.housekeeping.doctor import diagnose

    servers = beam = None
    if args.config or args.settings or args.engine:
        from pipeline.configuration.load_config import load_config

        config = load_config(args.config, with_engine(args))
        servers = {config.name: list(config.serving.servers)} if args.config or args.settings else None
        beam = config.beam
    diagnosis = diagnose(args.workspace, servers, beam)
    for line in [json.dumps(diagnosis.as_json())] if args.json else diagnosis.lines():
        say(line)
    return 1 if diagnosis.findings else 0


def _rerun(args: argparse.Namespace) -> int:
    from components.base.secrets import secrets_hidden_in_logs
    from din_trainer.training.threads import share_cores
    from pipeline.console import Console
    from pipeline.records.run_list import read_summaries
    from pipeline.run.rerun import rerun
    from pipeline.terminal import Progress, interrupt_on_sigterm, output_to

    if args.run not in {run.run_id for run in read_summaries(args.workspace)}:  # a path to another folder is none
        raise InputError(f"{args.run!r} is not a run in {args.workspace}: `din runs` lists the runs.")
    folder = args.workspace / "runs" / args.run
    share_cores()
    interrupt_on_sigterm()
    (folder / _RERUN_LOG).unlink(missing_ok=True)
    with output_to(folder / _RERUN_LOG) as terminal, secrets_hidden_in_logs():
        result = rerun(args.workspace, args.run, Progress(Console(file=terminal, quiet=args.json)))
    if args.json:
        say(json.dumps(result.as_json()))
        return 1 if result.differs else 0
    for name, (then, now) in result.metrics.items():
        say(f"  {name:<20} {then!r:<22} {now!r}")
    for sentence in result.differs:
        complain(sentence)
    say("Not the same." if result.differs else "The same to the last digit.")
    return 1 if result.differs else 0
