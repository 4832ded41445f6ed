"""`din serve`, `rollback`, `promote`, `publish` and `status`: they serve pushed versions, change which is served, and show it."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.errors import InputError
from components.serving.store.models_config import POLL_SECONDS
from pipeline.cli.arguments import Commands, add_command, add_json, add_name, add_workspace
from pipeline.terminal import complain, say

if TYPE_CHECKING:
    from components.serving.servers.waiting import Servers
    from components.serving.store.models_config import ServedModel


def add_commands(commands: Commands) -> None:
    serve = add_command(
        commands, "serve", "serve the pushed versions, by TF Serving or, if it is not installed, by a stand-in for development"
    )
    add_workspace(serve)
    add_name(serve)
    serve.add_argument("--rest-port", type=int, metavar="N", default=8501, help="port of the REST API; 0 takes a free one (default: 8501)")
    serve.add_argument("--grpc-port", type=int, metavar="N", default=8500, help="port of the gRPC API; 0 takes a free one (default: 8500)")
    serve.add_argument("--stand-in", action="store_true", help="use the stand-in, even if TF Serving is installed")
    log = "the stand-in logs its requests to this folder, in TF Serving's form, for din run --requests and din import requests"
    serve.add_argument("--log-requests", type=Path, metavar="DIR", help=log)
    sample = "the share of the requests that --log-requests logs (default: 1)"
    serve.add_argument("--log-sample", type=float, metavar="N", help=sample)
    serve.set_defaults(call=_serve)

    back = add_command(commands, "rollback", "serve an earlier version again")
    add_workspace(back)
    add_name(back)
    to = "the version (default: while there is a canary, the stable one; otherwise the newest before it that was not rolled back)"
    back.add_argument("--to", type=int, metavar="VERSION", help=to)
    seconds = "how often servers read models.config: those that cannot be asked get two polls; 0 if nothing reads it (default: 5)"
    back.add_argument("--poll-seconds", type=float, metavar="N", default=POLL_SECONDS, help=seconds)
    add_json(back, "the served versions by label as one JSON object")
    back.set_defaults(call=_rollback)

    promote = add_command(commands, "promote", "make the canary the stable version")
    add_workspace(promote)
    add_name(promote)
    promote.set_defaults(call=_promote)

    published = add_command(commands, "publish", "bring the object store of serving.store up to what the workspace serves")
    add_workspace(published)
    add_name(published)
    published.set_defaults(call=_publish)

    status = add_command(commands, "status", "show what must be served, and what each server has loaded and labelled")
    add_workspace(status)
    add_name(status)
    add_json(status, "all of it as one JSON object")
    status.set_defaults(call=_status)


def _serve(args: argparse.Namespace) -> int:
    from components.serving.store.versions import serving_folder
    from pipeline.online.serve import LogSettings, serve
    from pipeline.online.tf_serving_process import LOG_FILE
    from pipeline.terminal import output_to

    sample = 1.0 if args.log_sample is None else args.log_sample
    if args.log_sample is not None and not args.log_requests:
        raise InputError("--log-sample is the share that --log-requests logs: name a folder with it.")
    if not 0 < sample <= 1:
        raise InputError(f"--log-sample is {sample:g}: give a share above 0 and up to 1.")
    log = LogSettings(args.log_requests, sample) if args.log_requests else None
    folder = serving_folder(args.workspace, args.name)
    with output_to(args.workspace / LOG_FILE) as terminal:
        serve(folder, args.rest_port, args.grpc_port, args.stand_in, lambda line: say(line, terminal), log)
    os._exit(0)  # a request that the stand-in had no more time for still has its thread, which Python would wait for


def _rollback(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import rollback

    if not 0 <= args.poll_seconds < float("inf"):
        raise InputError(f"--poll-seconds is {args.poll_seconds}: give seconds, or 0 if nothing reads models.config.")
    return _move_labels(args, lambda folder, servers: rollback(folder, args.to, servers), args.poll_seconds, args.json)


def _promote(args: argparse.Namespace) -> int:
    from components.serving.store.rollback_and_promote import promote

    return _move_labels(args, promote, POLL_SECONDS, as_json=False)


def _move_labels(args: argparse.Namespace, move: Callable[[Path, "Servers"], "ServedModel"], poll_seconds: float, as_json: bool) -> int:
    """Moves labels, asks the servers of the last push, and prints where the labels are.

    Returns:
        The exit status: 3 if a server does not follow, 1 if the store cannot be written.
    """
    from components.serving.servers.asked_server import GrpcServer
    from components.serving.servers.waiting import PushRefused, Servers
    from components.serving.store.versions import read_servers, serving_folder

    folder = serving_folder(args.workspace, args.name)
    asked = [GrpcServer(url, folder.name) for url in read_servers(folder)]
    try:
        served = move(folder, Servers(asked, poll_seconds, say=complain))
    except PushRefused as error:
        complain(str(error))
        return 3
    say(json.dumps({"name": folder.name, **served.labels}) if as_json else _labels_line(folder, served.labels))
    return _publish_from(folder)


def _publish(args: argparse.Namespace) -> int:
    from components.serving.store.versions import read_store, serving_folder

    folder = serving_folder(args.workspace, args.name)
    if not (url := read_store(folder)):
        raise InputError(f"{folder} has no store: push with din run --set serving.store=s3://BUCKET/FOLDER.")
    if failed := _publish_from(folder):
        return failed
    say(f"{url} has what {folder} serves.")
    return 0


def _publish_from(folder: Path) -> int:
    """Publishes what a folder serves to its store, if it has one. Returns 1 if the store cannot be written."""
    from components.serving.store.publication import NotPublished, publish

    try:
        publish(folder, time.time())
    except NotPublished as error:
        complain(str(error))
        return 1
    return 0


def _status(args: argparse.Namespace) -> int:
    from components.serving.servers.status import serving_status
    from components.serving.store.versions import serving_folder

    status = serving_status(serving_folder(args.workspace, args.name))
    for line in [json.dumps(status.as_json())] if args.json else status.lines():
        say(line)
    return 0 if status.is_as_expected else 1


def _labels_line(folder: Path, labels: dict[str, int]) -> str:
    return f"{folder}: " + ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))
