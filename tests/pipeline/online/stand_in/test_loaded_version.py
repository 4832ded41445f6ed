"""What a loaded version answers and refuses."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.serving.model.impression_tensors import predict_tensors
from din_trainer.features import FeatureConfig
from pipeline.online.stand_in.loaded_version import LoadedVersion
from pipeline.online.stand_in.status_error import StatusError
from tests.components.serving import toy

TENSORS = predict_tensors(toy.ROWS, FeatureConfig())


def refused(call, *args):
    with pytest.raises(StatusError) as raised:
        call(*args)
    return raised.value.code, raised.value.message


@pytest.mark.parametrize(
    ("signature", "changes", "outputs", "code", "message"),
    [
        ("nothing", {}, (), StatusCode.FAILED_PRECONDITION, "there is no signature 'nothing'"),
        ("predict", {"user_id": None}, (), StatusCode.INVALID_ARGUMENT, "missing: user_id; unknown: none"),
        ("predict", {"label": np.zeros(3)}, (), StatusCode.INVALID_ARGUMENT, "missing: none; unknown: label"),
        ("predict", {"user_id": None, "user": np.zeros(3)}, (), StatusCode.INVALID_ARGUMENT, "missing: user_id; unknown: user"),
        ("predict", {"user_id": np.zeros(3, np.int32)}, (), StatusCode.INVALID_ARGUMENT, "input 'user_id' is int32, but int64 is needed"),
        (
            "predict",
            {"user_id": np.zeros((3, 1), np.int64)},
            (),
            StatusCode.INVALID_ARGUMENT,
            "input 'user_id' has the shape (3, 1), but (None,) is needed",
        ),
        ("predict", {"user_id": np.zeros(2, np.int64)}, (), StatusCode.INVALID_ARGUMENT, ""),  # the message is the graph's own
        ("predict", {}, ("score",), StatusCode.INVALID_ARGUMENT, "the signature has no output 'score'"),
        ("predict", {}, ("probability",) * 2, StatusCode.INVALID_ARGUMENT, "an output is asked for twice"),
    ],
)
def test_requests_that_do_not_fit_the_signature_are_refused(stand_in, signature, changes, outputs, code, message):
    inputs = {name: x for name, x in {**TENSORS, **changes}.items() if x is not None}
    found = refused(stand_in.endpoint.version(ModelSpec(name="demo")).run, signature, inputs, outputs)
    assert found[0] == code and message in found[1]


def warm_up(folder, signature):
    request = PredictRequest(model_spec=ModelSpec(name="demo", signature_name=signature))
    for name, values in TENSORS.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        log = PredictionLog()
        log.predict_log.request.CopyFrom(request)
        writer.write(log.SerializeToString())


def test_warm_up_requests_are_run_when_a_version_is_loaded(toy_folder, tmp_path):
    folder = shutil.copytree(toy_folder / "3", tmp_path / "3")
    warm_up(folder, "predict")
    assert LoadedVersion(folder).number == 3
    warm_up(folder, "nothing")
    assert refused(LoadedVersion, folder)[0] == StatusCode.FAILED_PRECONDITION
