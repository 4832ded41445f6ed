"""The TensorProtos of gRPC requests and answers, to and from arrays."""

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from components.serving.model.impression_tensors import Tensors
from pipeline.online.stand_in.status_error import StatusError, invalid

MAX_BYTES = 64 << 20  # of a request, and of each of its tensors

_STRING_BYTES = 8  # a string takes at least this much
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def read_request(request: PredictRequest) -> Tensors:
    """Returns the tensors of a request as arrays.

    Raises:
        StatusError: A tensor is malformed, or larger than `MAX_BYTES`.
    """
    result = {}
    for key, tensor in request.inputs.items():
        try:
            dtype = tf.as_dtype(tensor.dtype)
            sizes = [dim.size for dim in tensor.tensor_shape.dim]
            if tensor.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
                raise ValueError("the shape is not fully known")
            count = int(np.prod(sizes, dtype=object))
            if count * max(dtype.size, _STRING_BYTES if dtype == tf.string else 0) > MAX_BYTES:  # a proto may hold one value for all
                raise StatusError(StatusCode.RESOURCE_EXHAUSTED, f"input {key!r} is larger than {MAX_BYTES} bytes")
            result[key] = tf.make_ndarray(tensor)
        except (TypeError, ValueError) as error:
            raise invalid(f"input {key!r} is not a valid tensor") from error
    return result


def to_proto(array: np.ndarray) -> TensorProto:
    """Returns an array as TF Serving answers: the values are in the field of their type, not in `tensor_content`."""
    dtype = tf.as_dtype(array.dtype)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in array.shape])
    values = array.view(np.uint16) if _FIELDS[dtype] == "half_val" else array  # the bits
    return TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape, **{_FIELDS[dtype]: values.ravel().tolist()})
