"""Logged requests as an Examples artifact: an impression for each candidate, and in words what could not be read."""

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.base.errors import DataError
from components.base.tfrecord import read_records
from components.request_examples import READ_KEY, RequestExamples
from components.serving.model.impression_tensors import as_impressions, predict_tensors, rank_tensors
from din_trainer.features import FeatureConfig
from tests.components.serving.requests.test_request_rows import make_log, write
from tests.components.serving.toy import CANDIDATES, NAMES, ROWS

FEATURES = FeatureConfig()


def run(tmp_path, log):
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    RequestExamples.EXECUTOR_SPEC.executor_class._FUNCTION(
        examples=examples, log=str(log), features=FEATURES.model_dump_json(), fingerprint="", source_fingerprint=""
    )
    (file,) = (tmp_path / "examples" / "Split-requests").iterdir()
    return examples, [tf.train.Example.FromString(record) for record in read_records(file)]


def test_each_candidate_is_an_impression(tmp_path):
    log = make_log("rank", rank_tensors(ROWS, CANDIDATES, FEATURES))
    odd = make_log("predict", {**predict_tensors(ROWS[:1], FEATURES), "user_id": np.array([b"text"], object)})
    write(tmp_path / "log", log.SerializeToString(), b"\xff\xff", odd.SerializeToString())
    artifact, examples = run(tmp_path, tmp_path / "log")
    found = [{name: list(example.features.feature[name].int64_list.value) for name in NAMES} for example in examples]
    expected = as_impressions(ROWS, CANDIDATES)
    assert found == [{name: row[name] if isinstance(row[name], list) else [row[name]] for name in NAMES} for row in expected]
    assert artifact.split_names == '["requests"]'
    assert artifact.get_string_custom_property(READ_KEY) == (
        f"{tmp_path / 'log'}: 3 impressions of 1 requests; 2 could not be read, the first: log, request 2: it is no PredictionLog."
    )


def test_a_log_without_an_impression_is_refused(tmp_path):
    write(tmp_path / "log", make_log("explain", {"examples": np.array([b""], object)}).SerializeToString())
    with pytest.raises(DataError) as error:
        run(tmp_path, tmp_path / "log")
    assert str(error.value) == (
        f"{tmp_path / 'log'}: 1 requests, but none has an impression; 1 could not be read, the first: log, request 1: "
        "it asks the signature 'explain', which scores nothing: name a log of this model's requests."
    )
