"""How TF Serving loads and unloads versions and moves labels: its rules in one thread, by a clock that is handed in.

The rules were read in its sources: which labels a configuration may have (ServerCore::UpdateModelVersionLabelMap), which versions are
wanted (file_system_storage_path_source.cc), what is loaded or unloaded next (availability_preserving_policy.cc,
aspired_versions_manager.cc), and how often a load is tried (loader_harness.cc). One load blocks all others, as with TF Serving's defaults.
"""

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grpc import StatusCode
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.apis.status_pb2 import StatusProto

from pipeline.online.stand_in.status_error import StatusError

_NEW, _READY, _UNLOADED, _FAILED = "new", "ready", "unloaded", "failed"


class Config(NamedTuple):
    """What a server is asked to serve.

    Attributes:
        labels: The version of each label.
        versions: The versions to load; None for all that are there.
        folder: Where they are.
    """

    labels: dict[str, int]
    versions: frozenset[int] | None = None
    folder: Path = Path()


class Behaviour(NamedTuple):
    """How loads go, and how often files are read.

    Attributes:
        load_seconds: How long each load takes at least.
        failing: How many loads of a version fail, by version; `math.inf` for all.
        load_retries: How often a failed load is tried again; TF Serving's default is 5.
        retry_seconds: The pause before such a try.
        config_poll_seconds: How often `models.config` is read; TF Serving's flag is `--model_config_file_poll_wait_seconds`.
        file_system_poll_seconds: How often the folder of the versions is read.
        refuses: Whether a `models.config` that moves a label to a version which is not loaded is refused, as by a TF Serving that polls the
            file. Otherwise the new versions are loaded first and the labels move after that, as `din serve` does it with TF Serving.
    """

    load_seconds: float = 0.0
    failing: Mapping[int, float] = {}
    load_retries: int = 0
    retry_seconds: float = 60.0
    config_poll_seconds: float = 1.0
    file_system_poll_seconds: float = 1.0
    refuses: bool = False


AT_ONCE = Behaviour()


class Served(NamedTuple):
    """What is served at one moment. It is replaced as a whole and never changed."""

    labels: dict[str, int]
    versions: dict[int, Any]
    states: dict[int, ModelVersionStatus]


class _Managed:
    """A version that the manager knows."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wanted, self.stage, self.loaded = folder, True, _NEW, None


class _Load(NamedTuple):
    number: int
    due: float
    failures: int


class VersionManager:
    """The versions of one model.

    Args:
        name: The name of the model.
        load: Loads the version in a folder and returns it; any exception is a failed load.
        there: The versions that are in a folder.
        behaviour: How loads go.
        say: Called with one line for each version that was loaded, was dropped, or could not be loaded.

    Attributes:
        served: What requests see.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Path], Any],
        there: Callable[[Path], Collection[int]],
        behaviour: Behaviour = AT_ONCE,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._name, self._load_version, self._there, self._behaviour, self._say = name, load, there, behaviour, say
        self._config = Config({}, frozenset())
        self._found: frozenset[int] | None = None  # what the last look at the folder wants, until the manager takes it up
        self._found_in = Path()
        self._managed: dict[int, _Managed] = {}
        self._load: _Load | None = None
        self.served = Served({}, {}, {})

    def reload(self, config: Config) -> None:
        """Accepts a configuration: its labels at once, its versions at the next look at the folder.

        Raises:
            StatusError: A label that is in use moves to a version that is not available. Nothing of the configuration is taken.
        """
        for label, number in config.labels.items():
            if self.served.labels.get(label, number) != number and number not in self.served.versions:
                raise StatusError(
                    StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {self._name}, which is not currently available for inference",
                )
        self.served = self.served._replace(labels=dict(config.labels))
        self._config = config

    @property
    def busy_until(self) -> float:
        """When the load that is going on ends, or is tried again; infinity if there is none."""
        return self._load.due if self._load else math.inf

    def look(self) -> None:
        """Looks at the folder: versions are wanted while they are there and the configuration names them."""
        self._found_in = self._config.folder
        there = frozenset(self._there(self._found_in))
        self._found = there if self._config.versions is None else there & self._config.versions

    def manage(self, now: float) -> None:
        """Loads and unloads what can be loaded and unloaded now.

        Args:
            now: Seconds of any clock that never goes back; infinity ends all loads.
        """
        while self._act(now):
            pass

    def _act(self, now: float) -> bool:
        """Takes one step. Returns whether there may be another."""
        if self._load:
            return self._try(self._load, now)
        for number in [number for number, managed in self._managed.items() if not managed.wanted and managed.stage != _READY]:
            del self._managed[number]
        if self._found is not None and all(managed.wanted for number, managed in self._managed.items() if number in self._found):
            for number, managed in self._managed.items():
                managed.wanted = number in self._found
            for number in sorted(self._found - self._managed.keys()):
                self._managed[number] = _Managed(self._found_in / str(number))
                self._set(number, ModelVersionStatus.START)
            self._found = None
        wanted = [managed for managed in self._managed.values() if managed.wanted]
        unwanted = sorted(number for number, managed in self._managed.items() if not managed.wanted and managed.stage == _READY)
        if unwanted and (not wanted or len(unwanted) > 1 or any(managed.stage == _READY for managed in wanted)):
            self._unload(unwanted[0])
            return True
        new = [number for number, managed in self._managed.items() if managed.wanted and managed.stage == _NEW]
        if new:
            self._load = _Load(max(new), now + self._behaviour.load_seconds, 0)
            self._set(max(new), ModelVersionStatus.LOADING)
        return bool(new)

    def _try(self, load: _Load, now: float) -> bool:
        """Ends a load whose time has come."""
        if now < load.due:
            return False
        managed = self._managed[load.number]
        try:
            if load.failures < self._behaviour.failing.get(load.number, 0):
                raise StatusError(StatusCode.UNKNOWN, "the load fails, as was asked for")
            managed.loaded = self._load_version(managed.folder)
        except Exception as error:  # a broken SavedModel may raise anything; the other versions stay served
            if load.failures < self._behaviour.load_retries:
                self._load = load._replace(due=now + self._behaviour.retry_seconds, failures=load.failures + 1)
                return True
            managed.stage = _FAILED
            code = error.code if isinstance(error, StatusError) else StatusCode.UNKNOWN
            reason = " ".join(str(error).split())
            self._set(load.number, ModelVersionStatus.END, code, reason)
            self._say(f"version {load.number} cannot be served: {reason}")
        else:
            managed.stage = _READY
            self._set(load.number, ModelVersionStatus.AVAILABLE)
            self._say(f"version {load.number} is served")
        self._load = None
        return True

    def _unload(self, number: int) -> None:
        managed = self._managed[number]
        managed.stage, managed.loaded = _UNLOADED, None
        self._set(number, ModelVersionStatus.END)
        self._say(f"version {number} is no longer served")

    def _set(self, number: int, state: ModelVersionStatus.State, code: StatusCode = StatusCode.OK, message: str = "") -> None:
        """Publishes the state of a version, and what is served now."""
        status = ModelVersionStatus(version=number, state=state, status=StatusProto(error_code=code.value[0], error_message=message))
        versions = {number: managed.loaded for number, managed in self._managed.items() if managed.stage == _READY}
        self.served = self.served._replace(versions=versions, states={**self.served.states, number: status})
