"""`din serve`, `din rollback` and `din promote`: they serve the versions that were pushed, and change which of them is served."""

import argparse
import json
from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import POLL_SECONDS
from pipeline.cli.arguments import Commands, add_command, add_json, add_name, add_workspace
from pipeline.terminal import say


def add_commands(commands: Commands) -> None:
    serve = add_command(
        commands, "serve", "serve the pushed versions, by TF Serving or, if it is not installed, by a stand-in for development"
    )
    add_workspace(serve)
    add_name(serve)
    serve.add_argument("--rest-port", type=int, metavar="N", default=8501, help="port of the REST API; 0 takes a free one (default: 8501)")
    serve.add_argument("--grpc-port", type=int, metavar="N", default=8500, help="port of the gRPC API; 0 takes a free one (default: 8500)")
    serve.add_argument("--stand-in", action="store_true", help="use the stand-in, even if TF Serving is installed")
    serve.set_defaults(call=_serve)

    back = add_command(commands, "rollback", "serve an earlier version again")
    add_workspace(back)
    add_name(back)
    to = "the version (default: while there is a canary, the stable one; otherwise the newest before it that was not rolled back)"
    back.add_argument("--to", type=int, metavar="VERSION", help=to)
    seconds = (
        "how often TF Serving reads models.config: it must load the version before the labels move; 0 if nothing reads it (default: 5)"
    )
    back.add_argument("--poll-seconds", type=float, metavar="N", default=POLL_SECONDS, help=seconds)
    add_json(back, "the served versions by label as one JSON object")
    back.set_defaults(call=_rollback)

    promote = add_command(commands, "promote", "make the canary the stable version")
    add_workspace(promote)
    add_name(promote)
    promote.set_defaults(call=_promote)


def _serve(args: argparse.Namespace) -> int:
    from components.serving.store.versions import serving_folder
    from pipeline.online.serve import serve
    from pipeline.online.tf_serving_process import LOG_FILE
    from pipeline.terminal import output_to

    folder = serving_folder(args.workspace, args.name)
    with output_to(args.workspace / LOG_FILE) as terminal:
        serve(folder, args.rest_port, args.grpc_port, args.stand_in, lambda line: say(line, terminal))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import rollback
    from components.serving.store.versions import serving_folder

    if not 0 <= args.poll_seconds < float("inf"):
        raise InputError(f"--poll-seconds is {args.poll_seconds}: give seconds, or 0 if nothing reads models.config.")
    folder = serving_folder(args.workspace, args.name)
    served = rollback(folder, args.to, args.poll_seconds)
    say(json.dumps({"name": folder.name, **served.labels}) if args.json else _labels_line(folder, served.labels))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import promote
    from components.serving.store.versions import serving_folder

    folder = serving_folder(args.workspace, args.name)
    say(_labels_line(folder, promote(folder).labels))
    return 0


def _labels_line(folder: Path, labels: dict[str, int]) -> str:
    return f"{folder}: " + ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))
