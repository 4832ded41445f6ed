"""The versions that the stand-in serves: which version answers a request, and how the versions follow `models.config`.

A new version is loaded and warmed up before an old one is dropped, and a request ends on the version that it began with. A request without
version and label gets the latest loaded version, whatever the labels say, as in TF Serving. The status codes were read in TF Serving's
sources (server_core.cc, predict_util.cc, get_model_*_impl.cc).
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grpc import StatusCode
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.status_pb2 import StatusProto

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG, read_models_config
from pipeline.online.stand_in.loaded_version import LoadedVersion
from pipeline.online.stand_in.status_error import StatusError, invalid

_POLL_SECONDS = 1.0


def _state(number: int, state: ModelVersionStatus.State, code: StatusCode = StatusCode.OK, message: str = "") -> ModelVersionStatus:
    return ModelVersionStatus(version=number, state=state, status=StatusProto(error_code=code.value[0], error_message=message))


class _Served(NamedTuple):
    """What is served at one moment. It is replaced as a whole and never changed."""

    name: str
    labels: dict[str, int]
    versions: dict[int, LoadedVersion]
    states: dict[int, ModelVersionStatus]


class Endpoint:
    """A model whose versions lie in a folder.

    Args:
        folder: The folder of the versions, with the `models.config` that is followed; its `base_path` is ignored.
        say: Called with one line for each version that was loaded, was dropped, or could not be loaded.

    Raises:
        InputError: The folder has no version that can be served.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self._folder, self._say = folder, say
        self._config = b""  # last seen
        self._refreshing = threading.Lock()
        self._closed = threading.Event()
        self._served = _Served(folder.name, {}, {}, {})
        self.refresh()
        if not self._served.versions:
            reasons = "; ".join(state.status.error_message for state in self._served.states.values())
            raise InputError(f"{folder} has no version that can be served ({reasons or 'no models.config'}): push one with din run.")
        self._watcher = threading.Thread(target=self._watch, name="models.config", daemon=True)
        self._watcher.start()

    @property
    def name(self) -> str:
        """The name of the model in requests."""
        return self._served.name

    def refresh(self) -> None:
        """Serves what `models.config` says now. A file that cannot be read is reported, and the same versions stay served."""
        with self._refreshing:
            try:
                config = (self._folder / MODELS_CONFIG).read_bytes()
                if config == self._config:
                    return
                self._config = config
                asked = read_models_config(self._folder)
            except (OSError, InputError) as error:
                self._say(str(error))
                return
            if asked is not None:
                self._serve(asked.name, asked.labels)

    def _serve(self, name: str, labels: dict[str, int]) -> None:
        before = self._served
        versions, states = dict(before.versions), dict(before.states)
        for number in sorted(set(labels.values()) - set(versions)):
            try:
                versions[number] = LoadedVersion(self._folder / str(number))
                states[number] = _state(number, ModelVersionStatus.AVAILABLE)
                self._say(f"version {number} is served")
            except Exception as error:  # a broken SavedModel may raise anything; the other versions stay served
                code = error.code if isinstance(error, StatusError) else StatusCode.UNKNOWN
                reason = " ".join(str(error).split())
                states[number] = _state(number, ModelVersionStatus.END, code, reason)
                self._say(f"version {number} cannot be served: {reason}")
        now = {label: number if number in versions else before.labels.get(label, number) for label, number in labels.items()}
        for number in sorted(set(versions) - set(now.values())):
            del versions[number]
            states[number] = _state(number, ModelVersionStatus.END)
            self._say(f"version {number} is no longer served")
        self._served = _Served(name, {label: number for label, number in now.items() if number in versions}, versions, states)

    def _watch(self) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            self.refresh()

    def close(self) -> None:
        """Stops following `models.config`."""
        self._closed.set()
        self._watcher.join()

    def version(self, spec: ModelSpec) -> LoadedVersion:
        """Returns the version that a request asks for.

        Raises:
            StatusError: It is not served.
        """
        if not spec.name:
            raise invalid("the request names no model")
        served = self._served
        if spec.HasField("version_label"):
            if spec.name != served.name or spec.version_label not in served.labels:
                raise invalid(f"label {spec.version_label!r} of model {spec.name!r} is not served")
            return served.versions[served.labels[spec.version_label]]
        number = spec.version.value if spec.HasField("version") else max(served.versions, default=None)
        if spec.name != served.name or number not in served.versions:
            raise _not_served(spec)
        return served.versions[number]

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
        served = self._served
        states = served.states if spec.name == served.name else {}
        asked = [spec.version.value] if spec.HasField("version") else sorted(states)
        if not asked or not states.keys() >= set(asked):
            raise _not_served(spec)
        return GetModelStatusResponse(model_version_status=[states[number] for number in asked])


def _not_served(spec: ModelSpec) -> StatusError:
    version = f"version {spec.version.value} of " if spec.HasField("version") else ""
    return StatusError(StatusCode.NOT_FOUND, f"{version}model {spec.name!r} is not served")
