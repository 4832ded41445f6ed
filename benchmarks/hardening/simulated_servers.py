"""TF Servings that read a folder of versions, in virtual time: no thread, no sleep, any pace, any failure.

How versions are loaded and labels move is `pipeline.online.stand_in.version_manager`, which follows TF Serving's sources. This adds what
happens around it: the polls of `models.config` and of the folder, each at its own pace (server.cc, file_system_storage_path_source.cc);
starts, which load all versions side by side and fail if none can be loaded (load_servables_fast.cc); and processes that stand still.
"""

import math
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from components.serving.servers.asked_server import Unreachable, VersionState
from components.serving.servers.waiting import Clock
from components.serving.store.models_config import MODELS_CONFIG
from pipeline.online.stand_in.status_error import StatusError
from pipeline.online.stand_in.version_manager import Behaviour, Config, Served, VersionManager

BREAKS = "breaks"  # a file in the folder of a version: the names of the servers that cannot load it
RETRIES, RETRY_SECONDS = 5, 60.0  # TF Serving's defaults
_START_AGAIN_SECONDS = 10.0


class Folder:
    """What servers can see of a folder of versions. It is read again at each `refresh` only, because that takes time.

    Attributes:
        config: The content of `models.config`.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.refresh()

    def refresh(self) -> None:
        """Reads the folder."""
        self.config = b""
        with suppress(FileNotFoundError):
            self.config = (self.base / MODELS_CONFIG).read_bytes()
        self._names: dict[Path, frozenset[int]] = {}

    def versions(self, place: Path) -> frozenset[int]:
        """Returns the versions that a server finds in a folder."""
        if place not in self._names:
            names = [path.name for path in place.iterdir()] if place.is_dir() else []
            self._names[place] = frozenset(int(name) for name in names if name.isdecimal())
        return self._names[place]


class SimulatedServer:
    """One TF Serving.

    Args:
        name: Its name.
        folder: What it sees.
        load_seconds: How long it takes to load a version.
        poll_seconds: How often it reads `models.config`.
        clock: The virtual time.
        dice: Decides what comes first at one moment.

    Attributes:
        url: Its address.
        name: Its name.
        poll_seconds: How often it reads `models.config`.
        longest_gap: For how many seconds a label that had answered did not answer, at most.
        deleted: Versions that it tried to load and that were deleted.
    """

    def __init__(self, name: str, folder: Folder, load_seconds: float, poll_seconds: float, clock: Clock, dice: random.Random) -> None:
        self.url, self.name, self._folder, self._clock, self._dice = f"grpc://{name}:8500", name, folder, clock, dice
        self._behaviour = Behaviour(load_seconds, {}, RETRIES, RETRY_SECONDS, poll_seconds, 1.0, refuses=True)
        self._manager: VersionManager | None = None
        self._started: Config | None = None
        self._accepted: Config | None = None
        self._starts, self._frozen_until = 0.0, -math.inf
        self._config_tick = self._folder_tick = 0.0
        self._config_key: Any = None
        self._folder_key: Any = None
        self._answered: set[str] = set()
        self._gap_since: float | None = None
        self.longest_gap = 0.0
        self.deleted: list[int] = []
        self._failed: set[Path] = set()
        self.poll_seconds = poll_seconds

    # --- what it is asked -------------------------------------------------------------------------------------------------------------

    def states(self) -> dict[int, VersionState]:
        return {
            version: VersionState(ModelVersionStatus.State.Name(found.state), found.status.error_message)
            for version, found in self._served().states.items()
        }

    def labelled(self, label: str) -> int | None:
        served = self._served()
        version: int | None = served.labels.get(label)
        return version if version in served.versions else None

    def breaks(self, versions: Collection[int]) -> bool:
        """Returns whether it cannot load one of the versions."""
        return any(self.name in _broken(self._folder.base / str(version)) for version in versions)

    def loaded(self) -> list[int]:
        """Returns the versions that answer requests; the highest answers those without a label."""
        return sorted(self._served().versions)

    def _served(self) -> Served:
        if self._manager is None or self._clock.monotonic() < self._frozen_until:
            raise Unreachable("the simulation keeps it still")
        return self._manager.served

    # --- what happens to it -----------------------------------------------------------------------------------------------------------

    def freeze(self, now: float, seconds: float) -> None:
        """Stops the process for a time, as SIGSTOP does."""
        self._frozen_until = max(self._frozen_until, now + seconds)

    def restart(self, now: float) -> None:
        """Ends the process and starts it again. It reads `models.config` now, and opens its ports when the loads have ended."""
        self._manager, self._started = None, self._read()
        breaks = self.breaks(self._wanted(self._started))
        tries = RETRIES + 1 if breaks else 1
        self._starts = now + tries * self._behaviour.load_seconds + (tries - 1) * RETRY_SECONDS
        self._frozen_until = -math.inf

    # --- what it does -----------------------------------------------------------------------------------------------------------------

    def next_event(self, now: float) -> float:
        """Returns when it does something next; infinity if nothing is to be done."""
        if self._manager is None:
            return self._starts if self._folder.config else math.inf
        if now < self._frozen_until:
            return self._frozen_until
        config = self._config_tick if self._config_key != self._key_of_config() else math.inf
        looks = self._folder_tick if self._folder_key != self._key_of_folder() else math.inf
        return max(now, min(config, looks, self._manager.busy_until))

    def step(self, now: float) -> None:
        """Does what is due."""
        if self._manager is None:
            self._start(now)
        elif now >= self._frozen_until:
            due: list[Callable[[float], None]] = [self._poll_config, self._poll_folder]
            self._dice.shuffle(due)
            for act in due:
                act(now)
            self._manager.manage(now)

    def skip_ticks_before(self, now: float) -> None:
        """Passes by the polls before now, at which nothing was to be done."""
        if self._manager is not None and now > self._frozen_until:
            self._config_tick = _tick_from(self._config_tick, self.poll_seconds, now)
            self._folder_tick = _tick_from(self._folder_tick, 1.0, now)

    def check(self, now: float) -> None:
        """Notes whether labels answer that did before."""
        if self._manager is None or now < self._frozen_until:
            self._gap_since = None
            return
        served = self._manager.served
        answering = {label for label, version in served.labels.items() if version in served.versions}
        if self._answered <= answering:
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        if self._gap_since is not None:
            self.longest_gap = max(self.longest_gap, now - self._gap_since)
        self._answered |= answering

    def _start(self, now: float) -> None:
        if now < self._starts:
            return
        if self._started is None:
            self.restart(now)
            return
        manager = VersionManager("demo", self._load, self._folder.versions, self._behaviour)
        manager.reload(self._started)
        manager.look()
        manager.manage(math.inf)
        if not manager.served.versions:
            self.restart(now + _START_AGAIN_SECONDS)
            return
        self._manager, self._accepted = manager, self._started
        self._config_tick, self._folder_tick = now, now + 1.0
        self._config_key = self._folder_key = None
        self._poll_config(now)

    def _poll_config(self, now: float) -> None:
        assert self._manager
        if now < self._config_tick:
            return
        self._config_tick = now + self.poll_seconds
        config = self._read()
        if config is not None:
            with suppress(StatusError):
                self._manager.reload(config)
                self._accepted = config
        self._config_key = self._key_of_config()

    def _poll_folder(self, now: float) -> None:
        assert self._manager
        if now < self._folder_tick:
            return
        self._folder_tick = now + 1.0
        if self._accepted and self._accepted.folder.is_dir():  # otherwise nothing changes (PollFileSystemForServable)
            self._manager.look()
        self._folder_key = self._key_of_folder()

    def _key_of_config(self) -> Any:
        assert self._manager
        return self._folder.config, frozenset(self._manager.served.versions), tuple(self._manager.served.labels.items())

    def _key_of_folder(self) -> Any:
        assert self._manager
        return self._accepted and (self._folder.versions(self._accepted.folder), self._accepted)

    def _wanted(self, config: Config | None) -> frozenset[int]:
        there = self._folder.versions(config.folder) if config else frozenset()
        return there if config is None or config.versions is None else there & config.versions

    def _read(self) -> Config | None:
        return _parse(self._folder.config) if self._folder.config else None

    def _load(self, version: Path) -> bool:
        if version.is_dir() and self.name not in _broken(version):
            return True
        if not version.is_dir() and version not in self._failed:
            self.deleted.append(int(version.name))
        self._failed.add(version)
        raise StatusError(StatusCode.NOT_FOUND, "Could not find SavedModel")


@lru_cache(maxsize=64)
def _parse(content: bytes) -> Config:
    (model,) = text_format.Parse(content, ModelServerConfig()).model_config_list.config
    policy = model.model_version_policy
    versions = frozenset(policy.specific.versions) if policy.HasField("specific") else None
    return Config(dict(model.version_labels), versions, Path(model.base_path))


def _broken(version: Path) -> str:
    with suppress(FileNotFoundError):
        return (version / BREAKS).read_text()
    return ""


def _tick_from(tick: float, pace: float, now: float) -> float:
    """Returns the first moment from now on at which a poll is due."""
    return tick + max(0, math.ceil((now - tick) / pace)) * pace
