"""The world in which labels are moved: a folder of versions, TF Servings that read it, and a clock that people and servers share.

The real `push`, `promote` and `rollback` run in it. Their waits make virtual time pass, and in that time other people's changes may come,
servers may stop, start again, or be slow, and the process that waits may be killed.
"""

import fcntl
import heapq
import itertools
import math
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from benchmarks.hardening.simulated_servers import BREAKS, Folder, SimulatedServer
from components.base.errors import InputError
from components.serving.servers.asked_server import Unreachable
from components.serving.servers.waiting import Servers
from components.serving.store.models_config import read_models_config
from components.serving.store.push import push
from components.serving.store.rollback_and_promote import promote, rollback
from components.serving.store.versions import served_versions


class Killed(BaseException):
    """SIGKILL: nothing of the killed code runs any more."""


class World:
    """The folder, the servers and the clock.

    Args:
        place: An empty folder.
        asked: Whether push and others may ask the servers.
        keep: `serving.keep`.
        dice: Decides what is not said.

    Attributes:
        base: The folder of the versions.
        asked: Whether push and others may ask the servers.
        servers: They follow `models.config`, once it is there.
        findings: What must never happen, in sentences.
        refusals: The sentences of refused changes.
    """

    def __init__(self, place: Path, asked: bool, keep: int, dice: random.Random) -> None:
        self.base, self._models, self.asked, self._keep, self._dice = place / "demo", place / "models", asked, keep, dice
        self.base.mkdir(parents=True)
        self._now, self._count = 0.0, itertools.count()
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._kill_at: float = math.inf
        self._folder = Folder(self.base)
        self.servers: list[SimulatedServer] = []
        self.findings: list[str] = []
        self.refusals: list[str] = []

    # --- the clock of `Servers` -------------------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return 1_000_000_000 + self._now

    def sleep(self, seconds: float) -> None:
        if not _is_free(self.base / ".lock"):
            self.findings.append("a change waits and holds the lock that a rollback needs")
        self.pass_time(seconds)

    # --- what people do ---------------------------------------------------------------------------------------------------------------

    def add_server(self, name: str, load_seconds: float, poll_seconds: float) -> SimulatedServer:
        """Starts a server."""
        self._folder.refresh()
        server = SimulatedServer(name, self._folder, load_seconds, poll_seconds, self, self._dice)
        server.restart(self._now)
        self.servers.append(server)
        return server

    def model(self, breaks: str = "") -> Path:
        """Returns the folder of a new model, which the named servers cannot load."""
        folder = self._models / str(next(self._count))
        folder.mkdir(parents=True)
        (folder / "weights").write_text(folder.name)
        (folder / BREAKS).write_text(breaks)
        return folder

    def push(self, model: Path, push_to: Literal["stable", "canary"] = "stable") -> bool:
        """Pushes a model. Returns whether it was not refused."""
        return self._try(lambda: push(model, self.base, push_to=push_to, keep=self._keep, servers=self.reach()))

    def promote(self) -> bool:
        """Promotes the canary. Returns whether it was not refused."""
        return self._try(lambda: promote(self.base, self.reach()))

    def rollback(self, to: int | None = None) -> bool:
        """Rolls back. Returns whether it was not refused."""
        return self._try(lambda: rollback(self.base, to, self.reach()))

    def killed(self, change: Callable[[], object], at: float) -> None:
        """Makes a change that is killed at a moment, if it still waits then."""
        self._kill_at = at
        try:
            change()
        except Killed:
            pass
        finally:
            self._kill_at = math.inf

    def later(self, seconds: float, change: Callable[[], object]) -> None:
        """Makes a change in some seconds, in the middle of what goes on then."""
        heapq.heappush(self._later, (self._now + seconds, next(self._count), change))

    def pass_time(self, seconds: float) -> None:
        """Lets virtual time pass."""
        end = self._now + seconds
        self._folder.refresh()
        while True:
            for server in self.servers:
                server.check(self._now)
            due = min([*(server.next_event(self._now) for server in self.servers), self._later[0][0] if self._later else math.inf])
            moment = min(max(due, self._now), end)
            if self._kill_at <= moment:
                self._now = max(self._now, self._kill_at)
                raise Killed
            self._now = max(self._now, moment)
            if due > end:
                break
            for server in self.servers:
                server.skip_ticks_before(self._now)
                server.step(self._now)
            while self._later and self._later[0][0] <= self._now:
                heapq.heappop(self._later)[2]()
                self._folder.refresh()
        for server in self.servers:
            server.skip_ticks_before(self._now)

    # --- what must be true ------------------------------------------------------------------------------------------------------------

    def versions(self) -> list[int]:
        """Returns the versions on the disk."""
        return served_versions(self.base)

    def check_served(self) -> None:
        """Notes the servers that do not serve what `models.config` says. All of them must run."""
        served = read_models_config(self.base)
        assert served is not None
        for server in self.servers:
            try:
                found = {label: server.labelled(label) for label in served.labels}
            except Unreachable:
                self.findings.append(f"{server.url} does not start")
                continue
            if found != served.labels:
                self.findings.append(f"{server.url} is stuck: its labels are {found}, and must be {served.labels}")
            elif server.loaded()[-1] != max(served.labels.values()):
                self.findings.append(f"{server.url} answers requests without a label by {server.loaded()[-1]}, which has no label")

    def reach(self) -> Servers:
        """Returns the servers as push and others get them."""
        return Servers(self.servers if self.asked else (), 5.0, 600.0, self)

    def _try(self, change: Callable[[], object]) -> bool:
        try:
            change()
        except InputError as error:
            self.refusals.append(str(error))
            return False
        finally:
            self._folder.refresh()
        return True


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Lets push compare models by their file of weights, and not wait for the disk."""
    pushing = "components.serving.store.push"
    with (
        patch(f"{pushing}.model_digest", lambda model: f"{int((model / 'weights').read_text()):064x}"),
        patch(f"{pushing}.describe_signatures", lambda model, name: ""),
        patch("os.fsync", lambda file: None),
    ):
        yield


def remove(world: World) -> None:
    """Deletes the files of a world."""
    shutil.rmtree(world.base.parent)


def _is_free(lock: Path) -> bool:
    with open(lock, "w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
