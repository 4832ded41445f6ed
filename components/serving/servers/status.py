"""What must be served, and what each server has loaded and labelled: what `din status` shows."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.serving.servers.asked_server import AVAILABLE, GrpcServer, Server, Unreachable, VersionState
from components.serving.store.models_config import MODELS_CONFIG, link_folder
from components.serving.store.publication import unpublished
from components.serving.store.served_links import linked_versions
from components.serving.store.versions import read_servers, read_store, served_model


class ServerStatus(NamedTuple):
    """What one server says.

    Attributes:
        url: Its address.
        states: The state of each version that it knows.
        labels: The version that answers for each label; None if none does.
        silent: Why it gives no answer; empty if it answers.
    """

    url: str
    states: dict[int, VersionState]
    labels: dict[str, int | None]
    silent: str = ""


class ServingStatus(NamedTuple):
    """What must be served, and what is.

    Attributes:
        folder: The folder of the versions.
        labels: The version by label, as `models.config` says.
        loaded: The versions that servers must load; None without a `models.config`, without which no server can run.
        servers: What each server says.
        store: The URL of the folder in a store that must have what is served; empty if there is none.
        unpublished: What the store lacks.
    """

    folder: Path
    labels: dict[str, int]
    loaded: list[int] | None
    servers: list[ServerStatus]
    store: str = ""
    unpublished: tuple[str, ...] = ()

    @property
    def is_as_expected(self) -> bool:
        """Whether all servers answer, and have their labels where they must be, and the store has what is served."""
        return not self.unpublished and all(not server.silent and server.labels == self.labels for server in self.servers)

    def as_json(self) -> dict[str, Any]:
        """Returns all of it as plain JSON."""
        servers = [
            {
                "url": server.url,
                "error": server.silent or None,
                "versions": {str(version): state._asdict() for version, state in sorted(server.states.items())},
                "labels": server.labels,
            }
            for server in self.servers
        ]
        expected = {"labels": self.labels, "loaded": self.loaded}
        store = {"url": self.store, "lacks": list(self.unpublished)} if self.store else None
        return {"name": self.folder.name, "expected": expected, "servers": servers, "store": store, "as_expected": self.is_as_expected}

    def lines(self) -> list[str]:
        """Returns what people read."""
        lines = [f"{self.folder}", f"  expected: {self._expected()}"]
        if self.store:
            lacks = f"lacks {', '.join(self.unpublished)}: din publish --name {self.folder.name} brings it"
            lines.append(f"  {self.store}: {lacks if self.unpublished else 'has what is served'}")
        for server in self.servers:
            if server.silent:
                lines.append(f"  {server.url}: no answer ({server.silent})")
                continue
            available = [str(version) for version, state in sorted(server.states.items()) if state.state == AVAILABLE]
            as_expected = "as expected" if server.labels == self.labels else "NOT as expected"
            lines.append(f"  {server.url}: {_labels(server.labels)}; loaded {', '.join(available) or 'nothing'}; {as_expected}")
            for version, state in sorted(server.states.items()):
                if state.state != AVAILABLE and (state.error or version in (self.loaded or ())):
                    lines.append(f"    version {version}: {state.state}{': ' if state.error else ''}{state.error}")
        if not self.servers:
            lines.append("  no server can be asked: name them in serving.servers, and the next push records them")
        return lines

    def _expected(self) -> str:
        if self.loaded is not None:
            return f"{_labels(self.labels)}; loaded {', '.join(map(str, self.loaded)) or 'nothing'}"
        to = f" --to {max(self.labels.values())}" if self.labels else ""
        return f"nothing, because there is no {MODELS_CONFIG}: din rollback --name {self.folder.name}{to} writes it"


def serving_status(base: Path, servers: Sequence[Server] | None = None) -> ServingStatus:
    """Asks the servers what they serve.

    Args:
        base: The folder of the versions.
        servers: The servers; by default those of the last push.

    Raises:
        InputError: `models.config` cannot be read.
    """
    served = served_model(base)
    labels = served.labels if served else {}
    number = link_folder(base)
    asked = [GrpcServer(url, base.name) for url in read_servers(base)] if servers is None else servers
    loaded = linked_versions(base, number) if number is not None else [] if (base / MODELS_CONFIG).exists() else None
    store = read_store(base)
    return ServingStatus(base, labels, loaded, [_ask(server, labels) for server in asked], store, tuple(unpublished(base, time.time())))


def _ask(server: Server, labels: dict[str, int]) -> ServerStatus:
    try:
        return ServerStatus(server.url, server.states(), {label: server.labelled(label) for label in labels})
    except Unreachable as error:
        return ServerStatus(server.url, {}, {}, str(error))


def _labels(labels: dict[str, int | None] | dict[str, int]) -> str:
    return ", ".join(f"{label} {version or 'nowhere'}" for label, version in sorted(labels.items(), reverse=True)) or "no labels"
