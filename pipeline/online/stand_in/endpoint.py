"""The versions that the development stand-in serves, and what they answer: what its REST and its gRPC side share.

It follows `models.config`: a new version is loaded and warmed up before an old one is dropped, and requests under way end on the version
that they began with. A request that names neither version nor label gets the latest version loaded, as in TF Serving, whatever the labels
say.
Status codes and messages are TF Serving's; they were read in its sources (server_core.cc, predict_util.cc, get_model_*_impl.cc).
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.apis.status_pb2 import StatusProto

from components.base.errors import InputError
from components.base.tfrecord import read_records
from components.serving.store.models_config import MODELS_CONFIG, read_models_config
from components.serving.store.versions import WARM_UP_FILE

DEFAULT_SIGNATURE = "serving_default"
MAX_BYTES = 64 << 20  # of a request, and of a tensor in it

_POLL_SECONDS = 1.0
_STRING_BYTES = 8  # that each takes at least
_CODES = {code.value[0]: code for code in StatusCode}

Arrays = dict[str, np.ndarray]


class StatusError(Exception):
    """A refused request.

    Attributes:
        code: The canonical status code.
        message: What TF Serving would say.
    """

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> StatusError:
    """The refusal of a request that is at fault itself."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


class Version:
    """One version of the model, loaded.

    Attributes:
        number: Its version.
        signatures: Their definitions, by name.

    Raises:
        OSError, ValueError, tf.errors.OpError, google.protobuf.message.DecodeError: It cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.number = int(folder.name)
        graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
        self.signatures: dict[str, SignatureDef] = dict(graph.signature_def)
        self._model = tf.saved_model.load(str(folder))  # kept, since the signatures do not keep its tables alive
        if (folder / WARM_UP_FILE).exists():
            for record in read_records(folder / WARM_UP_FILE):
                request = PredictionLog.FromString(record).predict_log.request
                self.run(request.model_spec.signature_name, arrays(request))

    def run(self, name: str, inputs: Arrays, output_filter: Iterable[str] = ()) -> Arrays:
        """Outputs of a signature.

        Raises:
            StatusError: As TF Serving refuses; a wrong rank too, which TF Serving leaves to the graph.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self._model.signatures:  # which lack __saved_model_init_op
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        signature = self.signatures[name]
        wanted = _outputs(signature, list(output_filter))
        _check_inputs(signature, inputs)
        tensors = {key: tf.constant(inputs[key], info.dtype) for key, info in signature.inputs.items()}
        try:
            outputs = self._model.signatures[name](**tensors)
        except tf.errors.OpError as error:
            raise StatusError(_CODES.get(error.error_code, StatusCode.INTERNAL), str(error.message)) from error
        except (TypeError, ValueError) as error:  # a shape that the function itself does not take
            raise invalid(str(error)) from error
        return {key: np.asarray(outputs[key].numpy(), outputs[key].dtype.as_numpy_dtype) for key in wanted}


def _outputs(signature: SignatureDef, wanted: list[str]) -> list[str]:
    for index, key in enumerate(wanted):
        if key not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise invalid(f"output tensor alias not found in signature: {key} Outputs expected to be in the set {{{known}}}.")
        if key in wanted[:index]:
            raise invalid(f"duplicate output tensor alias: {key}")
    return wanted or sorted(signature.outputs)


def _check_inputs(signature: SignatureDef, inputs: Arrays) -> None:
    """Exactly the signature's inputs, of its types and ranks."""
    given, needed = set(inputs), set(signature.inputs)
    if len(given) != len(needed):
        sent, wanted, extra, missing = (",".join(sorted(names)) for names in (given, needed, given - needed, needed - given))
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(needed)} len({{{sent}}}) != len({{{wanted}}}). "
            f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for key, info in signature.inputs.items():
        if key not in given:
            raise invalid(
                f"Signature input alias: {key}(feed name: {info.name}) not found in request and no default value provided. "
                f"Inputs expected to be in the request {{{','.join(sorted(given))}}}, or default input alias set: "
            )
        dtype, shape = tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape)
        found = tf.as_dtype(inputs[key].dtype)
        if found != dtype:
            raise invalid(f"Expects input {key} to be {dtype.name} but {found.name} is provided")
        if not shape.is_compatible_with(inputs[key].shape):
            raise invalid(f"Expects input {key} to have the shape {shape} but {inputs[key].shape} is provided")


def arrays(request: PredictRequest) -> Arrays:
    """The tensors of a request as arrays.

    Raises:
        StatusError: One is malformed, or larger than `MAX_BYTES`.
    """
    result = {}
    for key, tensor in request.inputs.items():
        try:
            dtype = tf.as_dtype(tensor.dtype)
            sizes = [dim.size for dim in tensor.tensor_shape.dim]
            if tensor.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
                raise ValueError("no whole shape")
            count = int(np.prod(sizes, dtype=object))
            if count * max(dtype.size, _STRING_BYTES if dtype == tf.string else 0) > MAX_BYTES:  # one value may stand for all of them
                raise StatusError(StatusCode.RESOURCE_EXHAUSTED, f"tensor {key} is larger than {MAX_BYTES} bytes")
            result[key] = tf.make_ndarray(tensor)
        except (TypeError, ValueError) as error:
            raise invalid(f"tensor parsing error: {key}") from error
    return result


def _state(number: int, state: ModelVersionStatus.State, code: StatusCode = StatusCode.OK, message: str = "") -> ModelVersionStatus:
    return ModelVersionStatus(version=number, state=state, status=StatusProto(error_code=code.value[0], error_message=message))


class _Served(NamedTuple):
    """What is served at one moment; never changed, only replaced."""

    name: str
    labels: dict[str, int]
    versions: dict[int, Version]
    states: dict[int, ModelVersionStatus]


class Endpoint:
    """The model whose versions lie in a folder.

    Args:
        folder: Versions and their `models.config`, which is followed; its `base_path` is for TF Serving alone.
        say: Is told in a line each what was loaded, dropped, or could not be.

    Raises:
        InputError: Nothing there can be served.
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
        """By which requests name the model."""
        return self._served.name

    def refresh(self) -> None:
        """Serves what `models.config` now says. What it says but cannot be had is told, and what is served stays."""
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
                versions[number] = Version(self._folder / str(number))
                states[number] = _state(number, ModelVersionStatus.AVAILABLE)
                self._say(f"version {number} is served")
            except Exception as error:  # whatever a broken SavedModel raises: the others are served on
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
        """Ends the watch of `models.config`."""
        self._closed.set()
        self._watcher.join()

    def version(self, spec: ModelSpec) -> Version:
        """The version that a request asks for.

        Raises:
            StatusError: There is none such.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        served = self._served
        versions = served.versions if spec.name == served.name else {}
        number = max(versions, default=None)
        wanted = f"Latest({spec.name})"
        if spec.HasField("version_label"):
            if spec.name != served.name or spec.version_label not in served.labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            number = served.labels[spec.version_label]
        elif spec.HasField("version"):
            number, wanted = spec.version.value, f"Specific({spec.name}, {spec.version.value})"
        if number not in versions:
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return versions[number]

    def metadata(self, spec: ModelSpec) -> GetModelMetadataResponse:
        """The signatures of a version.

        Raises:
            StatusError: There is none such.
        """
        version = self.version(spec)
        response = GetModelMetadataResponse(model_spec=ModelSpec(name=spec.name))
        response.model_spec.version.value = version.number
        response.metadata["signature_def"].Pack(SignatureDefMap(signature_def=version.signatures))
        return response

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """The state of the version asked for, or of all; a label is not looked at, as in TF Serving.

        Raises:
            StatusError: There is none such.
        """
        served = self._served
        states = served.states if spec.name == served.name else {}
        if spec.HasField("version"):
            number = spec.version.value
            if number not in states:
                raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {spec.name}")
            return GetModelStatusResponse(model_version_status=[states[number]])
        if not states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        return GetModelStatusResponse(model_version_status=[states[number] for number in sorted(states)])
