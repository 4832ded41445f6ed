"""TensorProtos of gRPC requests become arrays, or are refused."""

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from pipeline.online.stand_in.status_error import StatusError
from pipeline.online.stand_in.tensor_protos import read_request, to_proto


def tensor(**fields):
    request = PredictRequest()
    request.inputs["x"].CopyFrom(type(request.inputs["x"])(**fields))
    return request


def shape(*sizes):
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def test_tensors_of_a_request_are_read():
    assert read_request(tensor(dtype=9, tensor_shape=shape(2, 2), int64_val=[5]))["x"].tolist() == [[5, 5], [5, 5]]
    assert read_request(tensor(dtype=7, tensor_shape=shape(2), string_val=[b"a", b"\xff"]))["x"].tolist() == [b"a", b"\xff"]


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": 0, "tensor_shape": shape(1)},
        {"dtype": 9, "tensor_shape": shape(-1), "int64_val": [1]},
        {"dtype": 9, "tensor_shape": shape(1), "int64_val": [1, 2]},
        {"dtype": 9, "tensor_shape": shape(2), "tensor_content": b"123"},
        {"dtype": 7, "tensor_shape": shape(1), "tensor_content": b"123"},
    ],
)
def test_malformed_tensors_are_refused(fields):
    with pytest.raises(StatusError, match="input 'x' is not a valid tensor") as raised:
        read_request(tensor(**fields))
    assert raised.value.code == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("dtype", [9, 7])
def test_a_tensor_that_would_fill_the_memory_is_refused(dtype):
    with pytest.raises(StatusError, match="input 'x' is larger than") as raised:
        read_request(tensor(dtype=dtype, tensor_shape=shape(1 << 40)))
    assert raised.value.code == StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "dtype",
    ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"],
)
def test_outputs_of_all_types_are_written_into_their_field(dtype):
    array = np.array([[1, 0, 1]]).astype(tf.as_dtype(dtype).as_numpy_dtype)
    proto = to_proto(array)
    assert not proto.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    assert tf.make_ndarray(proto).dtype == array.dtype
