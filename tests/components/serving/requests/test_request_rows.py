"""PredictionLogs as impressions: what was asked comes back, row by row, without padding."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.base.errors import InputError
from components.serving.model.impression_tensors import as_impressions, predict_tensors, rank_tensors, to_example
from components.serving.requests.request_columns import declared_columns, named_columns
from components.serving.requests.request_logs import log_files, log_fingerprint, read_log
from components.serving.requests.request_rows import UnreadableRequest, rows_of
from din_trainer.features import FeatureConfig
from tests.components.serving.toy import CANDIDATES, ROWS

FEATURES = FeatureConfig.model_validate({
    "user": {"user_id": {}, "age": {"kind": "numeric"}},
    "context": {"price": {"kind": "numeric", "dtype": "float"}, "city": {"dtype": "bytes"}},
})  # fmt: skip
NO_EVENTS = {"historical_item_ids": [], "historical_category_ids": []}
FULL = [
    {**ROWS[0], "age": 30, "price": 0.5, "city": b"Bern"},
    {**ROWS[1], "age": -1, "price": 2.0},
    {**ROWS[2], "city": b"Oslo"},
]


def make_log(signature, tensors, client_id=b"", seconds=0):
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.client_id = client_id
    log.log_metadata.timestamp_secs = seconds
    for name, values in tensors.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values, tf.string if values.dtype == object else None))
    return log


def examples(rows, features=FEATURES, further=b""):
    return {"examples": np.array([to_example(row, features) + further for row in rows], object)}


@pytest.mark.parametrize("columns", [declared_columns(FEATURES), named_columns()], ids=["declared", "named"])
def test_tensors_come_back_without_padding(columns):
    """−1 and "" mean that an id is missing, NaN that a number is; −1 of a number, which was sent as a float, is a value."""
    log = make_log("predict", predict_tensors(FULL, FEATURES, pad_to=5))
    assert rows_of(log, columns) == FULL


def test_examples_come_back_and_carry_anything():
    further = tf.train.Example()
    further.features.feature["request_id"].bytes_list.value.append(b"r-1")
    further.features.feature["timestamp"].int64_list.value.append(1700)
    log = make_log("serving_default", examples(FULL, further=further.SerializeToString()), b"other", 1800)
    carried = {"request_id": b"r-1", "timestamp": 1700}
    found = rows_of(log, declared_columns(FEATURES))
    assert [{**NO_EVENTS, **row} for row in found] == [{**NO_EVENTS, **row, **carried} for row in FULL]
    unnamed = make_log("", examples(FULL))  # the default signature
    assert len(rows_of(unnamed, named_columns())) == 3


def test_what_the_model_does_not_read_is_passed_over():
    """Times of events, for a model that reads none, and a list that is no history."""
    further = tf.train.Example()
    further.features.feature["historical_timestamps"].int64_list.value.extend([1, 2])
    further.features.feature["tags"].bytes_list.value.extend([b"a", b"b"])
    log = make_log("serving_default", examples(FULL, further=further.SerializeToString()))
    assert [{**NO_EVENTS, **row} for row in rows_of(log, declared_columns(FEATURES))] == [{**NO_EVENTS, **row} for row in FULL]
    with pytest.raises(UnreadableRequest, match="feature 'tags' of an example has 2 values, but must have one"):
        rows_of(log, named_columns())


def test_rank_gives_each_user_s_candidates():
    """The second user has one candidate and the third none: the rest is padding."""
    log = make_log("rank", rank_tensors(ROWS, CANDIDATES, FeatureConfig()), b"r-7", 1900)
    carried = {"request_id": b"r-7", "timestamp": 1900}
    assert rows_of(log, named_columns()) == [{**row, **carried} for row in as_impressions(ROWS, CANDIDATES)]


def test_an_event_is_real_if_its_item_is():
    tensors = predict_tensors(ROWS[:1], FeatureConfig())
    tensors["historical_item_ids"], tensors["historical_category_ids"] = np.array([[-1, 4, -1, 9]]), np.array([[8, -1, 8, 2]])
    (row,) = rows_of(make_log("predict", tensors), named_columns())
    assert (row["historical_item_ids"], row["historical_category_ids"]) == ([4, 9], [-1, 2])


def other_kind():
    log = PredictionLog()
    log.classify_log.request.model_spec.name = "demo"
    return log


def huge():
    """One value that stands for 2 ** 40."""
    log = PredictionLog()
    log.predict_log.request.inputs["user_id"].CopyFrom(tf.make_tensor_proto([1]))
    log.predict_log.request.inputs["user_id"].tensor_shape.dim[0].size = 2**40
    return log


@pytest.mark.parametrize("log, reason", [
    (huge(), "input 'user_id' has more than 8,388,608 values"),
    (PredictionLog(), "it is a log without a request, but must be a predict_log"),
    (other_kind(), "it is a classify_log, but must be a predict_log"),
    (make_log("explain", examples(FULL)), "it asks the signature 'explain', which scores nothing"),
    (make_log("predict", {}), "it has no inputs"),
    (make_log("predict", {"user_id": np.array([1, 2]), "candidate_item_id": np.array([1])}), "do not have the same number of rows"),
    (make_log("predict", {"user_id": np.array([[1, 2]])}), "input 'user_id' must have one value for each row"),
    (make_log("predict", {"historical_item_ids": np.array([1])}), "input 'historical_item_ids' must have a list for each row"),
    (make_log("serving_default", {"examples": np.array([b"\xff\xff"], object)}), "an example of it is not a tf.Example"),
    (make_log("rank", {"candidate_item_id": np.array([[1, 2]]), "candidate_b": np.array([[1]])}), "the same number of candidates"),
    (make_log("predict", {"historical_item_ids": np.array([[1, 2]]), "historical_category_ids": np.array([[1]])}), "differ in length"),
])  # fmt: skip
def test_what_is_no_request_is_said(log, reason):
    with pytest.raises(UnreadableRequest, match=reason):
        rows_of(log, named_columns())


def write(path, *records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def test_a_log_with_broken_requests_is_read_to_its_end(tmp_path):
    """TensorFlow's own writer; a record that is no PredictionLog, and an end that is not written yet."""
    good = make_log("predict", predict_tensors(ROWS, FeatureConfig())).SerializeToString()
    whole = write(tmp_path / "a", good, b"\xff\xff", good)
    assert [(one.number, len(one.rows), one.fault) for one in read_log(whole, named_columns())] == [
        (1, 3, ""), (2, 0, "it is no PredictionLog"), (3, 3, ""),
    ]  # fmt: skip
    cut = tmp_path / "b"
    cut.write_bytes(whole.read_bytes()[:-5])
    last = list(read_log(cut, named_columns()))[-1]
    assert last.number == 3 and "truncated or damaged in record 3" in last.fault


def test_text_logs_are_impressions_as_json(tmp_path):
    file = tmp_path / "log.jsonl"
    lines = [{**ROWS[0], "request_id": "r-1", "city": "Bern", "age": None}, {"user_id": [1]}, {"user_id": True}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\nnot json\n")
    found = list(read_log(file, named_columns()))
    assert found[0].rows == [{**ROWS[0], "request_id": b"r-1", "city": b"Bern"}]
    assert [one.number for one in found] == [1, 2, 3, 5]
    assert all(one.fault.startswith("it is no impression as JSON (") for one in found[1:])


def test_the_files_of_a_log_and_its_fingerprint(tmp_path):
    with pytest.raises(InputError, match="holds no log of requests"):
        log_files(tmp_path)
    write(tmp_path / "b", b"1")
    write(tmp_path / ".hidden", b"2")
    before = log_fingerprint(tmp_path)
    write(tmp_path / "a", b"3")
    assert [file.name for file in log_files(tmp_path)] == ["a", "b"]
    assert log_fingerprint(tmp_path) != before
