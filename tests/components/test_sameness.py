"""Compares an export that has every kind of feature with the model that it was made from."""

import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from benchmarks.exports.small_export import FEATURES, IMPRESSIONS
from components.artifact_types import SAMENESS_FILE, SAMPLE_FILE, ScoredSample
from components.sameness import Sameness, compare, explain_difference, largest_difference, trained_scores
from components.serving.model.impression_tensors import as_impressions, predict_tensors, rank_tensors, to_example
from components.serving.model.loaded_model import LoadedModel
from components.serving.sample_impressions import make_sample
from din_trainer.trainer import KERAS_FILE
from din_trainer.transform.raw_schema import make_schema
from tests import transforming

SAMPLE = make_sample(IMPRESSIONS, FEATURES)
ROWS = as_impressions(SAMPLE.users, SAMPLE.candidates)


@pytest.fixture(scope="module", autouse=True)
def load_once():
    """Loads each SavedModel once, because loading takes longer than all the rest."""
    load = functools.cache(tf.saved_model.load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", lambda path: load(os.path.realpath(path)))
        yield


@pytest.fixture(scope="module")
def compared(small_export, load_once):
    return compare(small_export.saved_model, small_export.model, small_export.transform_output, SAMPLE, 1e-6)


def test_the_sample_has_real_users_and_rare_ones():
    empty, long, odd, unknown = SAMPLE.users[-4:]
    assert SAMPLE.users[:3] == IMPRESSIONS and [len(row) for row in SAMPLE.candidates] == [4] * 7
    assert SAMPLE.candidates[1][0] == {"candidate_item_id": 0, "candidate_category_id": "a"}
    assert empty["historical_item_ids"] == empty["cart_item_ids"] == empty["historical_timestamps"] == []
    assert [empty[name] for name in ("age", "device", "hour", "price", "user_id")] == [None, None, None, None, "0"]
    assert len(long["historical_item_ids"]) == len(long["historical_category_ids"]) == 5 > FEATURES.history_length
    assert (odd["hour"], odd["price"], odd["age"], odd["device"]) == (2**62, 1e30, 2**62, "never seen")
    assert unknown == IMPRESSIONS[0] and SAMPLE.candidates[-1] == [{"candidate_item_id": 2**62, "candidate_category_id": "never seen"}] * 4


def test_a_good_export_scores_as_its_model(compared):
    expected, found = compared
    assert found["refused_because"] is None and found["examples"] == len(expected) == 28
    assert len(set(expected[:, 0].round(4))) > 15
    assert set(found["differences"]) == {"serving_default", "one by one", "predict", "rank", "transform_features"}
    assert 0 < found["largest_difference"] <= 1e-6


def test_another_model_is_refused(small_export):
    bias = small_export.model.mlp.logit_bias
    before = float(bias)
    bias.assign(before + 0.01)
    try:
        _, found = compare(small_export.saved_model, small_export.model, small_export.transform_output, SAMPLE, 1e-6)
    finally:
        bias.assign(before)
    assert 1e-4 < found["largest_difference"] < 0.00251  # a change of 0.01 in a logit changes a probability by a quarter of that at most
    assert "off the trained model's, " in found["refused_because"]


def test_another_vocabulary_is_refused(small_export, tmp_path):
    shutil.copytree(small_export.saved_model, tmp_path / "model")
    item = tmp_path / "model" / "assets" / "item"
    first, *others = item.read_text().splitlines()
    item.write_text("".join(f"{line}\n" for line in [*others, first]))
    _, found = compare(tmp_path / "model", small_export.model, small_export.transform_output, SAMPLE, 1e-6)
    assert found["differences"]["transform_features"] >= 1 and "transform_features" in found["refused_because"]


def test_an_export_that_cannot_be_loaded_is_refused_and_the_sample_is_scored(small_export, tmp_path):
    expected, found = compare(tmp_path, small_export.model, small_export.transform_output, SAMPLE, 1e-6)
    assert len(expected) == 28 and found["refused_because"].startswith("the export cannot be loaded or run (OSError: ")


def test_the_largest_difference_is_infinite_for_other_shapes_and_nan():
    assert largest_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.25]) == pytest.approx(0.05)
    assert (
        largest_difference([], [0.5]) == largest_difference([0.5], [0.5, 0.5]) == largest_difference([float("nan")], [0.5]) == float("inf")
    )


def test_bytes_that_are_not_text_stay_unchanged(small_export):
    rows = [{**IMPRESSIONS[0], "user_id": b"\xff\xfe".decode(errors="surrogateescape")}]
    sample = make_sample(json.loads(json.dumps(rows)), FEATURES)
    _, found = compare(small_export.saved_model, small_export.model, small_export.transform_output, sample, 1e-6)
    assert found["refused_because"] is None
    assert b"\xff\xfe" in to_example(sample.users[0], FEATURES)


def test_a_score_that_is_not_finite_is_refused():
    assert "are not finite" in explain_difference({"predict": 0.0, "rank": float("inf")}, 1e-6)
    assert explain_difference({"predict": 1e-6, "rank": 0.0}, 1e-6) is None


@pytest.mark.parametrize("threads", [1, 2])
def test_a_served_score_depends_on_its_own_impression_alone(small_export, compared, threads):
    """In TensorFlow's C++ loader: with other impressions in the batch, in another order, with more padding, with more threads."""
    expected, _ = compared
    order = np.random.default_rng(0).permutation(len(ROWS))
    shuffled = [ROWS[i] for i in order]
    with LoadedModel(small_export.saved_model, threads=threads) as model:
        examples = np.array([to_example(row, FEATURES) for row in shuffled], object)
        scores = [model.run("serving_default", {"examples": part})["probability"] for part in np.split(examples, [1, 5, 6, 20])]
        np.testing.assert_allclose(np.concatenate(scores), expected[order, 0], rtol=0, atol=1e-6)
        tensors = predict_tensors(shuffled, FEATURES)
        wide = {name: np.pad(x, [(0, 0), (0, 30)], constant_values=_padding(x)) if x.ndim == 2 else x for name, x in tensors.items()}
        np.testing.assert_allclose(model.run("predict", wide)["probability"], expected[order, 0], rtol=0, atol=1e-6)
        ranked = rank_tensors(SAMPLE.users[::-1], SAMPLE.candidates[::-1], FEATURES)
        np.testing.assert_allclose(model.run("rank", ranked)["probability"][::-1].ravel(), expected[:, 0], rtol=0, atol=1e-6)


def _padding(x):
    return b"" if x.dtype == object else -1


def test_the_component_reads_the_eval_split(small_export, tmp_path):
    artifacts = {
        "examples": standard_artifacts.Examples(),
        "schema": standard_artifacts.Schema(),
        "transform_graph": standard_artifacts.TransformGraph(),
        "model": standard_artifacts.Model(),
        "model_run": standard_artifacts.ModelRun(),
        "sample": ScoredSample(),
    }
    for name, artifact in artifacts.items():
        artifact.uri = str(tmp_path / name)
    artifacts["examples"].split_names = '["train", "eval"]'
    eval_split = tmp_path / "examples" / "Split-eval"
    eval_split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(eval_split / "data.gz"), "GZIP") as writer:
        for row in IMPRESSIONS:
            writer.write(transforming.to_example(row))
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(str(make_schema(FEATURES)))
    artifacts["transform_graph"].uri = str(small_export.saved_model.parent / "transform")
    (tmp_path / "model").mkdir()
    Path(path_utils.serving_model_dir(artifacts["model"].uri)).symlink_to(small_export.saved_model)
    (tmp_path / "model_run").mkdir()
    small_export.model.save(tmp_path / "model_run" / KERAS_FILE)

    Sameness.EXECUTOR_SPEC.executor_class._FUNCTION(tolerance=1e-6, source_fingerprint="", **artifacts)
    sample = json.loads((tmp_path / "sample" / SAMPLE_FILE).read_text())
    found = json.loads((tmp_path / "sample" / SAMENESS_FILE).read_text())
    assert found["refused_because"] is None and found["examples"] == 28
    assert [user["candidate_item_id"] for user in sample["users"]] == [7, 0, 3, 7, 7, 7, 7]
    probability, _ = trained_scores(small_export.model, small_export.transform_output, ROWS)
    np.testing.assert_allclose(np.ravel(sample["probability"]), probability[:, 0], rtol=0, atol=1e-6)
