"""`din serve`, `din rollback` and `din promote`: the versions that were pushed."""

import argparse
import json
from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import POLL_SECONDS
from pipeline.cli.arguments import Commands, add_json, add_name, add_workspace


def add_commands(commands: Commands) -> None:
    serve = commands.add_parser("serve", help="serve the pushed models: by TF Serving, or by a development stand-in where there is none")
    add_workspace(serve)
    add_name(serve)
    serve.add_argument("--rest-port", type=int, metavar="N", default=8501, help="0: any free one (default: 8501)")
    serve.add_argument("--grpc-port", type=int, metavar="N", default=8500, help="0: any free one (default: 8500)")
    serve.add_argument("--stand-in", action="store_true", help="take the stand-in, even if there is a TF Serving")
    serve.set_defaults(call=_serve)

    back = commands.add_parser("rollback", help="serve an earlier version again")
    add_workspace(back)
    add_name(back)
    back.add_argument("--to", type=int, metavar="VERSION", help="default: the newest before the stable one that was not rolled back")
    seconds = "how often TF Serving reads models.config (default: 5): it loads the version before the labels move; 0: nothing reads it"
    back.add_argument("--poll-seconds", type=float, metavar="N", default=POLL_SECONDS, help=seconds)
    add_json(back, "what is served as one JSON object")
    back.set_defaults(call=_rollback)

    promote = commands.add_parser("promote", help="make the canary the stable version")
    add_workspace(promote)
    add_name(promote)
    promote.set_defaults(call=_promote)


def _serve(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import serving_folder
    from pipeline.online.serve import LOG_FILE, serve
    from pipeline.terminal import output_to

    folder = serving_folder(args.workspace, args.name)
    with output_to(args.workspace / LOG_FILE) as terminal:
        serve(folder, args.rest_port, args.grpc_port, args.stand_in, lambda line: print(line, file=terminal, flush=True))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import rollback, serving_folder

    if not 0 <= args.poll_seconds < float("inf"):
        raise InputError(f"--poll-seconds is {args.poll_seconds}: give seconds, or 0 if nothing reads models.config.")
    folder = serving_folder(args.workspace, args.name)
    served = rollback(folder, args.to, args.poll_seconds)
    print(json.dumps({"name": folder.name, **served.labels}) if args.json else _labels_line(folder, served.labels))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import promote, serving_folder

    folder = serving_folder(args.workspace, args.name)
    print(_labels_line(folder, promote(folder).labels))
    return 0


def _labels_line(folder: Path, labels: dict[str, int]) -> str:
    return f"{folder}: " + ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))
