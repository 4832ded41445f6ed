"""The gRPC server over a socket: TF Serving's answers, and its status codes for refusals."""

from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from components.serving.model.impression_tensors import predict_tensors
from din_trainer.features import FeatureConfig
from tests.components.serving import toy


@pytest.fixture(scope="module")
def channel(stand_in):
    with grpc.insecure_channel(urlsplit(stand_in.grpc_url).netloc) as result:
        yield result


@pytest.fixture(scope="module")
def prediction(channel):
    return PredictionServiceStub(channel)


def request(signature="predict", name="demo", **changes):
    result = PredictRequest(model_spec=ModelSpec(name=name, signature_name=signature))
    for key, values in {**predict_tensors(toy.ROWS, FeatureConfig()), **changes}.items():
        result.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return result


def refused(call, *args):
    with pytest.raises(grpc.RpcError) as raised:
        call(*args)
    return raised.value.code().name, raised.value.details()


def test_predict_answers_with_values_in_their_field_and_the_version(prediction):
    response = prediction.Predict(request())
    assert (response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name) == ("demo", 2, "predict")
    np.testing.assert_allclose(response.outputs["probability"].float_val, [toy.probability(row, 0.2) for row in toy.ROWS], rtol=1e-6)


def test_outputs_are_filtered_and_of_any_type(prediction):
    asked = PredictRequest(model_spec=ModelSpec(name="demo", signature_name="echo"), output_filter=["flag", "text"])
    for key, values in {"text": [[b"\xff"]], "number": np.float32(1), "flag": [True, False]}.items():
        asked.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    outputs = {key: tf.make_ndarray(tensor).tolist() for key, tensor in prediction.Predict(asked).outputs.items()}
    assert outputs == {"flag": [True, False], "text": [[b"\xff"]]}


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (PredictRequest(), "INVALID_ARGUMENT", "the request has no model_spec"),
        (request(name="other"), "NOT_FOUND", "model 'other' is not served"),
        (request("nothing"), "FAILED_PRECONDITION", "there is no signature 'nothing'"),
        (request("__saved_model_init_op"), "FAILED_PRECONDITION", "there is no signature"),
        (request(label=[1]), "INVALID_ARGUMENT", "missing: none; unknown: label"),
        (request(user_id=np.zeros(3, np.float32)), "INVALID_ARGUMENT", "is float32, but int64 is needed"),
        (request(user_id=np.zeros(2, np.int64)), "INVALID_ARGUMENT", ""),
    ],
)
def test_what_tf_serving_refuses_is_refused(prediction, asked, code, message):
    found = refused(prediction.Predict, asked)
    assert found[0] == code and message in found[1]


def test_long_messages_are_cut(prediction):
    assert len(refused(prediction.Predict, request("x" * 5000))[1]) == 1024


def test_metadata_are_the_signatures(prediction):
    asked = GetModelMetadataRequest(model_spec=ModelSpec(name="demo", version_label="stable"), metadata_field=["signature_def"])
    response, signatures = prediction.GetModelMetadata(asked), SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 1 and {"predict", "rank", "serving_default"} <= set(signatures.signature_def)
    assert refused(prediction.GetModelMetadata, GetModelMetadataRequest(model_spec=ModelSpec(name="demo")))[0] == "INVALID_ARGUMENT"
    asked.metadata_field.append("weights")
    assert refused(prediction.GetModelMetadata, asked) == ("INVALID_ARGUMENT", "metadata field 'weights' is not supported")
    assert (
        refused(prediction.GetModelMetadata, GetModelMetadataRequest(metadata_field=["signature_def"]))[1]
        == "the request has no model_spec"
    )


def test_status_is_reported(channel):
    ask = ModelServiceStub(channel).GetModelStatus
    states = ask(GetModelStatusRequest(model_spec=ModelSpec(name="demo"))).model_version_status
    assert [(status.version, status.state) for status in states] == [(1, 30), (2, 30)]
    assert refused(ask, GetModelStatusRequest(model_spec=ModelSpec(name="other"))) == ("NOT_FOUND", "model 'other' is not served")
    assert refused(ask, GetModelStatusRequest()) == ("INVALID_ARGUMENT", "the request has no model_spec")


@pytest.mark.parametrize(("method", "kind"), [("Classify", ClassificationRequest), ("Regress", RegressionRequest)])
def test_classify_and_regress_have_tf_serving_s_codes(prediction, method, kind):
    call = getattr(prediction, method)
    assert refused(call, kind()) == ("INVALID_ARGUMENT", "the request has no model_spec")
    assert refused(call, kind(model_spec=ModelSpec(name="other"))) == ("NOT_FOUND", "model 'other' is not served")
    assert refused(call, kind(model_spec=ModelSpec(name="demo"))) == ("INVALID_ARGUMENT", f"no signature is for {method.lower()}")


def test_other_methods_are_not_there(prediction):
    assert refused(prediction.MultiInference, MultiInferenceRequest())[0] == "UNIMPLEMENTED"
