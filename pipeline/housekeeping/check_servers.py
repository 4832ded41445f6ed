"""Checks of `din doctor` on the servers that a push asks: whether they answer, and serve what they must."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.serving.servers.asked_server import GrpcServer
from components.serving.servers.status import ServerStatus, serving_status
from components.serving.store.versions import read_servers
from pipeline.housekeeping.findings import Finding, command
from pipeline.records.run_list import read_summaries
from pipeline.report.content import CONFIG_FILE


def known_servers(workspace: Path) -> dict[str, list[str]]:
    """Returns the servers of each name: those of its last push, and those in the configuration of its last run.

    Raises:
        InputError: The file of servers of a name cannot be read.
    """
    if not workspace.is_dir():
        return {}
    found = {base.name: read_servers(base) for base in sorted(workspace.glob("serving/*/"))}
    for name, run in {run.name: run.run_id for run in read_summaries(workspace)}.items():
        configured = _configured(workspace / "runs" / run / CONFIG_FILE)
        found[name] = list(dict.fromkeys([*found.get(name, []), *configured]))
    return found


def check_servers(workspace: Path, servers: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Asks each server.

    Args:
        workspace: The workspace.
        servers: Their URLs by the name of the model.
    """
    for name, urls in servers.items():
        if urls:
            try:
                status = serving_status(workspace / "serving" / name, [GrpcServer(url, name) for url in urls])
            except InputError:  # the checks of the workspace say so
                continue
            for server in status.servers:
                yield from _check_server(server, status.labels, name, workspace)


def _check_server(server: ServerStatus, labels: dict[str, int], name: str, workspace: Path) -> Iterator[Finding]:
    show = command("din", "status", "--workspace", workspace, "--name", name)
    if server.silent:
        what = (
            f"{server.url} gives no answer ({server.silent}), so that nothing can be pushed: start it, or remove it from serving.servers."
        )
        yield Finding("servers", what, command("din", "serve", "--workspace", workspace, "--name", name))
    elif labels and not server.states:
        yield Finding("servers", f"{server.url} does not serve {name}: start it with the models.config of this workspace.", show)
    elif labels and server.labels != labels:
        yield Finding("servers", f"{server.url} has the labels of {name} elsewhere than models.config says.", show)


def _configured(file: Path) -> list[str]:
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
        return [str(url) for url in config["serving"]["servers"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
