"""The metrics of a served model on new data are scikit-learn's, on every impression."""

import json

import numpy as np
import pytest
import sklearn.metrics
from tfx.types import artifact_utils, standard_artifacts

from components import new_data_score
from components.new_data_score import NewDataScore
from tests.components.evaluation.metrics.test_gauc import user_by_user

CLICK, PURCHASE = ["click", "label", "probability"], ["purchase", "purchase", "probability_purchase"]
SETTINGS = {"metrics": ["auc", "gauc", "calibration", "log_loss"], "labels": [CLICK], "user": "user_id"}


@pytest.fixture
def score(tmp_path, monkeypatch):
    """A function that runs the component on columns and scores, without a model. Returns what it wrote, of the first label by default."""

    def run(label, user, scores, settings=SETTINGS, of=lambda found: found["click"], **more):
        class Scored:
            def __init__(self, files, schema, names, models, labels):
                known = {"label": np.array(label), "user_id": np.array(user), "purchase": np.array(label)}
                self.columns = {name: known[name] for name in names}
                by_label = {"click": scores, **more}
                self.scores = {x.name: {"served": np.array(by_label[x.name], float)} if x.name in by_label else {} for x in labels}

        monkeypatch.setattr(new_data_score, "Scored", Scored)
        monkeypatch.setattr(new_data_score, "split_files", lambda examples, split: [split])
        monkeypatch.setattr(new_data_score, "read_schema", lambda schema: None)
        monkeypatch.setattr(new_data_score.path_utils, "serving_model_path", lambda uri: uri)
        found = new_data_score.ModelScore()
        found.uri = str(tmp_path / "score")
        inputs = {name: [kind()] for name, kind in (("examples", standard_artifacts.Examples), ("schema", standard_artifacts.Schema))}
        inputs["examples"][0].split_names = artifact_utils.encode_split_names(["eval"])
        properties = {"settings": json.dumps(settings), "source_fingerprint": ""}
        executor = NewDataScore.EXECUTOR_SPEC.executor_class()
        executor.Do({**inputs, "model": [standard_artifacts.Model()]}, {"score": [found]}, properties)
        return of(json.loads((tmp_path / "score" / "score.json").read_text()))

    return run


def test_metrics_are_scikit_learn_s(score):
    rng = np.random.default_rng(0)
    label, user, scores = rng.integers(2, size=400), rng.integers(30, size=400), rng.random(400).round(2)
    found = score(label, user, scores)
    assert found["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(label, scores), abs=1e-9)
    assert found["gauc"] == pytest.approx(user_by_user(user, scores, label), abs=1e-9)
    assert found["calibration"] == pytest.approx(scores.sum() / label.sum(), rel=1e-9)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(label, clipped), rel=1e-4)


def test_a_metric_that_is_not_defined_is_null_even_with_few_users(score):
    """Two users of one class each have no GAUC; unlike intervals, values need no ten users."""
    found = score([0, 1], [1, 2], [0.25, 0.75])
    assert found["auc"] == 1 and found["gauc"] is None and found["calibration"] == 1


def test_without_users_there_is_no_gauc(score):
    found = score([0, 1, 1], [1, 1, 1], [0.1, 0.2, 0.3], {**SETTINGS, "user": "", "metrics": ["auc"]})
    assert found == {"auc": 1.0}


def test_each_label_that_the_model_predicts_has_its_metrics(score):
    """The served model may be older than a label of the configuration."""
    both = {"metrics": ["auc"], "labels": [CLICK, PURCHASE], "user": ""}
    asked = [0, 1, 1], [1, 1, 1], [0.1, 0.2, 0.3]
    assert score(*asked, both, of=dict, purchase=[0.3, 0.2, 0.1]) == {"click": {"auc": 1.0}, "purchase": {"auc": 0.0}}
    assert score(*asked, both, of=dict) == {"click": {"auc": 1.0}}
