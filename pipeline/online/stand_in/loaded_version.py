"""One version of the model, loaded and warmed up by Python TensorFlow, and its answers."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.base.tfrecord import read_records
from components.serving.model.impression_tensors import Tensors
from components.serving.store.versions import WARM_UP_FILE
from pipeline.online.stand_in.status_error import StatusError, invalid
from pipeline.online.stand_in.tensor_protos import read_request

DEFAULT_SIGNATURE = "serving_default"

_CODES = {code.value[0]: code for code in StatusCode}


class LoadedVersion:
    """A version that answers requests.

    Args:
        folder: The folder of the version.

    Attributes:
        number: The version number.
        signatures: The definitions of the signatures, by name.

    Raises:
        OSError, ValueError, tf.errors.OpError, google.protobuf.message.DecodeError: The version cannot be loaded.
        StatusError: A warm-up request fails.
    """

    def __init__(self, folder: Path) -> None:
        self.number = int(folder.name)
        graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
        self.signatures: dict[str, SignatureDef] = dict(graph.signature_def)
        self._model = tf.saved_model.load(str(folder))  # kept, since the signatures alone do not keep its tables alive
        if (folder / WARM_UP_FILE).exists():
            for record in read_records(folder / WARM_UP_FILE):
                request = PredictionLog.FromString(record).predict_log.request
                self.run(request.model_spec.signature_name, read_request(request))

    def run(self, name: str, inputs: Tensors, output_filter: Iterable[str] = ()) -> Tensors:
        """Returns the outputs of a signature.

        Args:
            name: The signature; empty for `serving_default`.
            inputs: An array for each of its inputs.
            output_filter: The outputs to return; empty for all.

        Raises:
            StatusError: TF Serving would refuse the request. A wrong shape is refused here too; TF Serving leaves that to the graph.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self._model.signatures:  # these do not include __saved_model_init_op
            raise StatusError(StatusCode.FAILED_PRECONDITION, f"there is no signature {name!r}")
        signature = self.signatures[name]
        wanted = _wanted_outputs(signature, list(output_filter))
        _check_inputs(signature, inputs)
        tensors = {key: tf.constant(inputs[key], info.dtype) for key, info in signature.inputs.items()}
        try:
            outputs = self._model.signatures[name](**tensors)
        except tf.errors.OpError as error:
            raise StatusError(_CODES.get(error.error_code, StatusCode.INTERNAL), str(error.message)) from error
        except (TypeError, ValueError) as error:  # a shape that the function does not accept
            raise invalid(str(error)) from error
        return {key: np.asarray(outputs[key].numpy(), outputs[key].dtype.as_numpy_dtype) for key in wanted}


def _wanted_outputs(signature: SignatureDef, wanted: list[str]) -> list[str]:
    for key in wanted:
        if key not in signature.outputs:
            raise invalid(f"the signature has no output {key!r}")
    if len(set(wanted)) < len(wanted):
        raise invalid("an output is asked for twice")
    return wanted or sorted(signature.outputs)


def _check_inputs(signature: SignatureDef, inputs: Tensors) -> None:
    """Checks that the inputs are exactly those of the signature, with their types and shapes."""
    given, needed = set(inputs), set(signature.inputs)
    if given != needed:
        missing, unknown = (", ".join(sorted(names)) or "none" for names in (needed - given, given - needed))
        raise invalid(f"the inputs do not fit the signature: missing: {missing}; unknown: {unknown}")
    for key, info in signature.inputs.items():
        dtype, found = tf.as_dtype(info.dtype), tf.as_dtype(inputs[key].dtype)
        if found != dtype:
            raise invalid(f"input {key!r} is {found.name}, but {dtype.name} is needed")
        shape = tf.TensorShape(info.tensor_shape)
        if not shape.is_compatible_with(inputs[key].shape):
            raise invalid(f"input {key!r} has the shape {inputs[key].shape}, but {shape} is needed")
