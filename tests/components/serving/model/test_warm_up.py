"""Warm-up requests: TF Serving reads what is written."""

import numpy as np
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.base.tfrecord import read_records
from components.serving.model.warm_up import read_warm_up, sample_requests, write_warm_up
from din_trainer.features import FeatureConfig

FEATURES = FeatureConfig.model_validate(
    {
        "behaviours": {"item": {"candidate": "item", "history": "items", "dtype": "bytes"}},
        "context": {"hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)
USERS = [{"user_id": 1, "items": ["a", "ü"], "hour": 3}, {"user_id": 2, "price": 0.5}]
CANDIDATES = [[{"item": "x"}, {"item": "y"}, {"item": "z"}], [{"item": "z"}, {"item": " "}, {"item": "x"}]]


def test_requests_go_out_and_back_as_they_are(tmp_path):
    requests = sample_requests(USERS, CANDIDATES, FEATURES)
    write_warm_up(tmp_path / "requests", requests)
    found = read_warm_up(tmp_path / "requests")
    assert [request.signature for request in found] == ["serving_default", "predict", "serving_default", "predict", "rank", "rank"]
    for before, after in zip(requests, found, strict=True):
        assert before.signature == after.signature and before.tensors.keys() == after.tensors.keys()
        for name, values in before.tensors.items():
            assert after.tensors[name].dtype == values.dtype
            np.testing.assert_array_equal(after.tensors[name], values)


def test_one_and_all_of_the_sample(tmp_path):
    requests = sample_requests(USERS, CANDIDATES, FEATURES)
    assert [len(request.tensors["examples"]) for request in requests if request.signature == "serving_default"] == [1, 6]
    assert [request.tensors["item"].tolist() for request in requests if request.signature == "predict"] == [
        [b"x"], [b"x", b"y", b"z", b"z", b" ", b"x"]
    ]  # fmt: skip
    first, whole = (request.tensors for request in requests if request.signature == "rank")
    assert first["item"].tolist() == [[b"x", b"y", b"z"]] and first["user_id"].tolist() == [1]
    assert whole["item"].tolist() == [[b"x", b"y", b"z"], [b"z", b" ", b"x"]]
    assert whole["items"].tolist() == [[b"a", "ü".encode()], [b"", b""]]
    np.testing.assert_array_equal(whole["price"], np.array([np.nan, 0.5], np.float32))


def test_no_name_of_a_model_is_in_them(tmp_path):
    write_warm_up(tmp_path / "requests", sample_requests(USERS, CANDIDATES, FEATURES))
    logs = [PredictionLog.FromString(record) for record in read_records(tmp_path / "requests")]
    assert {log.predict_log.request.model_spec.name for log in logs} == {""}
