"""TensorProtos of gRPC requests become arrays, or are refused."""

import pytest
from grpc import StatusCode
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from pipeline.online.stand_in.status_error import StatusError
from pipeline.online.stand_in.tensor_protos import read_request


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
