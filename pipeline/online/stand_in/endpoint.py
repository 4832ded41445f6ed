"""The versions that the stand-in serves: which version answers a request, and how the versions follow `models.config`.

A new version is loaded and warmed up before an old one is dropped, and a request ends on the version that it began with. A request without
version and label gets the latest loaded version, whatever the labels say, as in TF Serving. The status codes were read in TF Serving's
sources (server_core.cc, predict_util.cc, get_model_*_impl.cc).
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from grpc import StatusCode
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG
from pipeline.online.asked_versions import Asked, read_asked, versions_in
from pipeline.online.stand_in.loaded_version import LoadedVersion
from pipeline.online.stand_in.request_log import RequestLog
from pipeline.online.stand_in.status_error import StatusError, invalid
from pipeline.online.stand_in.version_manager import AT_ONCE, Behaviour, Config, VersionManager

_STEP_SECONDS = 0.1  # TF Serving's manager wakes as often


class Endpoint:
    """A model whose versions lie in a folder.

    Args:
        folder: The folder of the versions, with the `models.config` that is followed. Of its `base_path` only a folder of links counts.
        say: Called with one line for each version that was loaded, was dropped, or could not be loaded, and for each refused file.
        behaviour: How loads go, and how often files are read. The versions that it starts with are loaded at once.
        now: The clock, in seconds.
        runs: Whether a thread follows the files; otherwise only `step` does.
        log: What logs the answered requests; None: nothing does.

    Attributes:
        name: The name of the model in requests.
        log: As given.

    Raises:
        InputError: The folder has no version that can be served.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] = lambda line: None,
        behaviour: Behaviour = AT_ONCE,
        now: Callable[[], float] = time.monotonic,
        runs: bool = True,
        log: RequestLog | None = None,
    ) -> None:
        self.log = log
        self._folder, self._say, self._behaviour, self._now = folder, say, behaviour, now
        self._stepping = threading.Lock()
        self._closed = threading.Event()
        self._told = ""  # the last refusal of the file
        try:
            asked = read_asked(folder)
        except InputError as error:
            raise InputError(f"{folder} has no version that can be served ({error}): push one with din run.") from error
        self.name = asked.name
        self._manager = VersionManager(self.name, LoadedVersion, versions_in, behaviour, say)
        self._manager.reload(self._config(asked))
        self._manager.look()
        self._manager.manage(math.inf)
        if not self._manager.served.versions:
            reasons = "; ".join(state.status.error_message for state in self._manager.served.states.values()) or "none is there"
            raise InputError(f"{folder} has no version that can be served ({reasons}): push one with din run.")
        self._next_read, self._next_look = now() + behaviour.config_poll_seconds, now() + behaviour.file_system_poll_seconds
        self._watcher = threading.Thread(target=self._watch, name=MODELS_CONFIG, daemon=True)
        if runs:
            self._watcher.start()

    def step(self) -> None:
        """Reads `models.config` and the folder if it is time, and takes the steps that can be taken now."""
        with self._stepping:
            now = self._now()
            if now >= self._next_read:
                self._next_read = now + self._behaviour.config_poll_seconds
                self._follow()
            if now >= self._next_look:
                self._next_look = now + self._behaviour.file_system_poll_seconds
                with contextlib.suppress(OSError):  # a folder that cannot be read changes nothing
                    self._manager.look()
            self._manager.manage(now)

    def _follow(self) -> None:
        """Hands `models.config` to the manager. A refusal is told once, and the same versions stay served."""
        try:
            asked = read_asked(self._folder)
            if asked.name != self.name:
                raise InputError(
                    f"{self._folder / MODELS_CONFIG} names the model {asked.name}, but {self.name} is served: restart the server."
                )
            self._manager.reload(self._config(asked))
            self._told = ""
        except (InputError, StatusError, OSError) as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(self._told)

    def _config(self, asked: Asked) -> Config:
        """Returns what is handed to the manager: without refusals, the versions first and then the labels.

        Raises:
            OSError: The folder of the versions cannot be read.
        """
        if self._behaviour.refuses:
            return Config(asked.labels, asked.named, asked.folder)
        served, labelled = self._manager.served, frozenset(asked.labels.values())
        labels = served.labels if served.labels and not labelled <= served.versions.keys() else asked.labels
        return Config(labels, asked.versions() | labelled | set(labels.values()), self._folder)

    def refresh(self) -> None:
        """Serves what `models.config` says now, without waiting for the next time to read it."""
        for _ in range(2):  # first the new versions, then the labels
            self._next_read = self._next_look = -math.inf
            self.step()

    def _watch(self) -> None:
        while not self._closed.wait(_STEP_SECONDS):
            self.step()

    def close(self) -> None:
        """Stops following `models.config`."""
        self._closed.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def version(self, spec: ModelSpec) -> LoadedVersion:
        """Returns the version that a request asks for.

        Raises:
            StatusError: It is not served.
        """
        if not spec.name:
            raise invalid("the request names no model")
        served = self._manager.served
        if spec.HasField("version_label"):
            if spec.name != self.name or spec.version_label not in served.labels:
                raise invalid(f"label {spec.version_label!r} of model {spec.name!r} is not served")
            asked: int | None = served.labels[spec.version_label]
        else:
            asked = spec.version.value if spec.HasField("version") else None
        number = max(served.versions, default=None) if asked is None else asked
        if spec.name != self.name or number not in served.versions:
            raise _not_served(spec.name, asked)
        version: LoadedVersion = served.versions[number]
        return version

    def metadata(self, spec: ModelSpec) -> GetModelMetadataResponse:
        """Returns the signatures of a version.

        Raises:
            StatusError: It is not served.
        """
        version = self.version(spec)
        response = GetModelMetadataResponse(model_spec=ModelSpec(name=spec.name))
        response.model_spec.version.value = version.number
        response.metadata["signature_def"].Pack(SignatureDefMap(signature_def=version.signatures))
        return response

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """Returns the state of the version that is asked for, or of all versions. A label is ignored, as in TF Serving.

        Raises:
            StatusError: There is no such version.
        """
        states = self._manager.served.states if spec.name == self.name else {}
        asked = [spec.version.value] if spec.HasField("version") else sorted(states)
        if not asked or not states.keys() >= set(asked):
            raise _not_served(spec.name, spec.version.value if spec.HasField("version") else None)
        return GetModelStatusResponse(model_version_status=[states[number] for number in asked])


def _not_served(name: str, number: int | None) -> StatusError:
    version = "" if number is None else f"version {number} of "
    return StatusError(StatusCode.NOT_FOUND, f"{version}model {name!r} is not served")
