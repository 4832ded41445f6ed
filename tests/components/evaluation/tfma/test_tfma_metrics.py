"""The metrics in TFMA's own pipeline, with a plain EvalConfig, against NumPy and scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from sklearn.metrics import average_precision_score, roc_auc_score
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputs
from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.metrics.sum_metrics import ADDITIVE
from components.evaluation.tfma.tfma_metrics import AUC, GAUC, LogLoss
from tests.components.evaluation.metrics.test_gauc import user_by_user
from tests.components.evaluation.metrics.test_sum_metrics import impressions, value

CONFIG = """
  model_specs { label_key: "label" prediction_key: "prediction" }
  slicing_specs {}
  slicing_specs { feature_keys: "group" }
  metrics_specs {
    query_key: "user"
    metrics {
      class_name: "GAUC" module: "components.evaluation.tfma.tfma_metrics"
      threshold { value_threshold { lower_bound { value: 0.99 } } }
    }
    metrics { class_name: "OneClassUsers" module: "components.evaluation.tfma.tfma_metrics" config: '"name": "skipped"' }
  }
  metrics_specs {
    query_key: "request"
    metrics { class_name: "NDCG10" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "MRR" module: "components.evaluation.tfma.tfma_metrics" }
  }
  metrics_specs {
    metrics { class_name: "LogLoss" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "ImpressionCount" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "NormalizedEntropy" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "CalibrationError" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "Calibration" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "Accuracy" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "AUC" module: "components.evaluation.tfma.tfma_metrics" }
    metrics { class_name: "AveragePrecision" module: "components.evaluation.tfma.tfma_metrics" config: '"name": "precise"' }
  }
"""


@pytest.fixture(scope="module")
def analysed():
    x = impressions(count=600)
    x = x._replace(score=(0.3 + x.score * 1e-6).astype(np.float32).astype(np.float64))
    frame = pd.DataFrame({"label": x.label, "prediction": x.score, "user": x.user, "request": x.request, "group": x.user % 2})
    result = tfma.analyze_raw_data(frame, text_format.Parse(CONFIG, config_pb2.EvalConfig()))
    return x, {key: {name: v["doubleValue"] for name, v in found[""][""].items()} for key, found in result.slicing_metrics}


def test_query_metrics_are_numpy_s(analysed):
    x, found = analysed
    overall = found[()]
    assert overall["gauc"] == pytest.approx(user_by_user(x.user, x.score, x.label), abs=1e-9)
    assert overall["skipped"] == pytest.approx(value("one_class_users", x), abs=1e-9)
    assert overall["ndcg_10"] == pytest.approx(value("ndcg_10", x), abs=1e-9)
    assert overall["mrr"] == pytest.approx(value("mrr", x), abs=1e-9)


def test_metrics_of_impressions_are_numpy_s(analysed):
    x, found = analysed
    for name in (name for name, metric in ADDITIVE.items() if not metric.group):
        assert found[()][name] == pytest.approx(value(name, x), abs=1e-6), name  # TFMA has predictions in float32


def test_areas_are_scikit_learn_s_on_the_whole_split_and_on_slices(analysed):
    """Case 15: the scores lie within 1e-6 of each other."""
    x, found = analysed
    for key, rows in {(): x.user >= 0, (("group", 0),): x.user % 2 == 0, (("group", 1),): x.user % 2 == 1}.items():
        assert found[key]["auc"] == pytest.approx(roc_auc_score(x.label[rows], x.score[rows]), abs=1e-12)
        assert found[key]["precise"] == pytest.approx(average_precision_score(x.label[rows], x.score[rows]), abs=1e-12)
        assert not any(name.startswith("_") for name in found[key])


def test_areas_do_not_depend_on_how_the_inputs_are_merged():
    combiner = AUC().computations()[0].combiner
    rng = np.random.default_rng(0)
    label, score = rng.integers(2, size=1000), rng.random(1000).astype(np.float32)
    parts = []
    for rows in np.array_split(rng.permutation(1000), 7):
        parts.append(combiner.create_accumulator())
        for some in np.array_split(rows, 3):
            combiner.add_input(parts[-1], StandardMetricInputs(label=label[some], prediction=score[some], example_weight=np.ones(1)))
    before = [[bytes(scores) for scores in part] for part in parts]
    merged = combiner.merge_accumulators([combiner.merge_accumulators(parts[:3]), *parts[3:]])
    (found,) = combiner.extract_output(pickle.loads(pickle.dumps(merged))).values()
    assert found["auc"] == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert [[bytes(scores) for scores in part] for part in parts] == before, "merging must not change its inputs: TFMA uses them again"


def test_slices_by_a_user_level_feature_have_their_own_gauc(analysed):
    x, found = analysed
    for group in (0, 1):
        rows = x.user % 2 == group
        assert found[("group", group),]["gauc"] == pytest.approx(user_by_user(x.user[rows], x.score[rows], x.label[rows]), abs=1e-9)


def test_a_query_metric_without_a_query_is_refused():
    with pytest.raises(ValueError, match="gauc ranks within a user's impressions: give its metrics_specs a query_key"):
        GAUC().computations()


def test_a_metric_of_impressions_with_a_query_is_refused():
    with pytest.raises(ValueError, match="log_loss is a metric of impressions: give it a metrics_specs without query_key"):
        LogLoss().computations(query_key="user")


def test_gauc_of_no_impressions_is_nan():
    combiner = GAUC(key="user").computations()[0].combiner
    assert np.isnan(next(iter(combiner.extract_output(combiner.create_accumulator()).values())))


def test_auc_of_no_impressions_is_nan():
    combiner = AUC().computations()[0].combiner
    assert np.isnan(next(iter(combiner.extract_output(combiner.create_accumulator()).values()))["auc"])
