"""Evaluator, UserBootstrap, NewDataScore and Verdict on a model with two labels, whose scores are written in the data."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from sklearn.metrics import log_loss, roc_auc_score
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.artifact_types import ConfidenceIntervals, ModelScore, ScoredSample
from components.evaluator import Executor
from components.new_data_score import NewDataScore
from components.user_bootstrap import UserBootstrap
from components.verdict import Verdict
from pipeline.configuration import node_settings as settings
from pipeline.configuration.load_config import load_config
from tests.components.evaluation.metrics.test_gauc import user_by_user
from tests.sample_data import write_records

ROWS = 400
SETTINGS = [
    'features.labels=["click", "purchase"]',
    "features.context.hour.kind=categorical",
    'evaluation.slices=["hour"]',
    "evaluation.bootstrap.replicates=50",
]


def save_model(folder, **outputs):
    """A SavedModel whose outputs are float features of the tf.Examples."""
    module, spec = tf.Module(), {name: tf.io.FixedLenFeature([], tf.float32) for name in outputs.values()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        parsed = tf.io.parse_example(examples, spec)
        return {output: parsed[name] for output, name in outputs.items()}

    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures=serve)


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(3)
    click = rng.integers(2, size=ROWS)
    purchase = click * rng.integers(2, size=ROWS)
    scores = {name: np.clip(0.3 * label + 0.7 * rng.random(ROWS), 0.01, 0.99) for name, label in (("p", click), ("q", purchase))}
    return {
        "label": click,
        "purchase": purchase,
        "user_id": rng.integers(20, size=ROWS),
        "hour": rng.integers(2, size=ROWS),
        **{name: score.astype(np.float32) for name, score in scores.items()},
        "old": rng.random(ROWS).astype(np.float32),
    }


@pytest.fixture(scope="module")
def artifacts(columns, tmp_path_factory):
    """The data, and three models: one of both labels, one whose scores for the second label are noise, and an older one without it."""
    folder = tmp_path_factory.mktemp("artifacts")
    types = {name: pa.float32() if values.dtype == np.float32 else pa.int64() for name, values in columns.items()}
    arrays = [pa.array([[value] for value in values.tolist()], pa.list_(types[name])) for name, values in columns.items()]
    (folder / "examples" / "Split-eval").mkdir(parents=True)
    write_records(folder / "examples" / "Split-eval" / "data_tfrecord-0.gz", pa.RecordBatch.from_arrays(arrays, list(columns)))
    schema = schema_pb2.Schema()
    for name, kind in types.items():
        feature = schema.feature.add(name=name, type=schema_pb2.FLOAT if kind == pa.float32() else schema_pb2.INT)
        feature.presence.min_fraction, feature.presence.min_count = 1, 1
        feature.shape.SetInParent()
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    save_model(folder / "both", probability="p", probability_purchase="q")
    save_model(folder / "noise", probability="p", probability_purchase="old")
    save_model(folder / "older", probability="old")

    def artifact(kind, name):
        made = kind()
        made.uri = str(folder / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = artifact_utils.encode_split_names(["eval"])
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    models = {name: artifact(standard_artifacts.Model, name) for name in ("both", "noise", "older")}
    return {"examples": examples, "schema": artifact(standard_artifacts.Schema, "schema"), **models}


def run(component, folder, name, kind, artifacts, **properties):
    """Runs a component of ours, whose output has this name. Returns the artifact."""
    made = kind()
    made.uri = str(folder / name)
    component.EXECUTOR_SPEC.executor_class._FUNCTION(**artifacts, **{name: made}, **properties)
    return made


def judge(artifacts, folder, model, more=(), baseline=None):
    """Runs the nodes that judge a model. Returns `verdict.json`."""
    config = load_config(None, [*SETTINGS, *more])
    compared = {"baseline_model": artifacts[baseline]} if baseline else {}
    given = {"examples": artifacts["examples"], "schema": artifacts["schema"], "model": artifacts[model], **compared}
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "tfma_blessing")
    asked = settings.evaluator_settings(config, requests=False)
    properties = {
        "eval_config": proto_utils.proto_to_json(asked["eval_config"]),
        "example_splits": json_utils.dumps(asked["example_splits"]),
        "module_path": asked["module_path"],
        "fairness_indicator_thresholds": "null",
    }
    context = Executor.Context(beam_pipeline_args=["--direct_num_workers=1"], tmp_dir=str(folder), unique_id="1")
    inputs = {name: [artifact] for name, artifact in given.items()}
    Executor(context).Do(inputs, {"evaluation": [evaluation], "blessing": [blessing]}, properties)

    asked = settings.user_bootstrap_settings(config, requests=False)
    intervals = run(UserBootstrap, folder, "intervals", ConfidenceIntervals, given, **asked)
    gates = {"sample": ScoredSample(), "infra_blessing": standard_artifacts.InfraBlessing()}
    for name, artifact in gates.items():
        artifact.uri = str(folder / name)
        (folder / name).mkdir()
    (folder / "sample" / "sameness.json").write_text('{"refused_because": null}')
    (folder / "infra_blessing" / "loading.json").write_text('{"refused_because": null}')
    found = {"evaluation": evaluation, "intervals": intervals, "model": artifacts[model], **gates}
    run(Verdict, folder, "blessing", standard_artifacts.ModelBlessing, found, **settings.verdict_settings(config))
    return json.loads((folder / "blessing" / "verdict.json").read_text())


def values_of(slices, text):
    (row,) = [row for row in slices if row["slice"] == text]
    return {name: metric["value"] for name, metric in row["metrics"].items()}


def check_metrics(slices, columns, label, score):
    """The metrics of a label on the whole split and on slices are scikit-learn's."""
    for text, rows in {"overall": slice(None), "hour=0": columns["hour"] == 0, "hour=1": columns["hour"] == 1}.items():
        y, p, user = columns[label][rows], columns[score][rows].astype(float), columns["user_id"][rows]
        found = values_of(slices, text)
        assert found["auc"] == pytest.approx(roc_auc_score(y, p), abs=1e-9)
        assert found["gauc"] == pytest.approx(user_by_user(user, p, y), abs=1e-9)
        assert found["log_loss"] == pytest.approx(log_loss(y, p), abs=1e-6)
        assert found["calibration"] == pytest.approx(p.sum() / y.sum(), rel=1e-6)


def test_both_labels_have_scikit_learn_s_metrics_and_an_older_baseline_is_compared_on_the_first_alone(artifacts, columns, tmp_path):
    found = judge(artifacts, tmp_path, "both", baseline="older")
    first, purchase = found["slices"], found["further_labels"]["purchase"]["slices"]
    check_metrics(first, columns, "label", "p")
    check_metrics(purchase, columns, "purchase", "q")
    auc = first[0]["metrics"]["auc"]
    assert auc["baseline"] == pytest.approx(roc_auc_score(columns["label"], columns["old"]), abs=1e-9)
    assert auc["change"]["value"] == pytest.approx(auc["value"] - auc["baseline"])
    assert auc["low"] < auc["value"] < auc["high"]
    auc = purchase[0]["metrics"]["auc"]
    assert (auc["baseline"], auc["change"]) == (None, None) and auc["low"] < auc["value"] < auc["high"]
    assert found["labels"] == ["click", "purchase"] and found["blessed"]


def test_a_threshold_of_the_second_label_alone_refuses_a_model(artifacts, columns, tmp_path):
    more = ["evaluation.label_thresholds.purchase.auc.at_least=0.7", "evaluation.label_thresholds.purchase.auc.worse_by_at_most=0.01"]
    found = judge(artifacts, tmp_path, "noise", more, baseline="both")
    before, now = (roc_auc_score(columns["purchase"], columns[score]) for score in ("q", "old"))
    assert not found["blessed"] and found["refused_because"] == (
        f"auc (purchase) is {now:.4f}, but at least 0.7 is asked for; "
        f"auc (purchase) is {before - now:.4f} below the baseline's, but at most 0.01 below the baseline is asked for."
    )
    assert [(row.get("label"), row["kind"], row["passed"]) for row in found["thresholds"]] == [
        (None, "value", True),
        (None, "change", True),
        ("purchase", "value", False),
        ("purchase", "change", False),
    ]


def test_a_baseline_with_a_further_label_is_compared_on_the_first(artifacts, tmp_path):
    """Which has the same scores as the model, so the difference is 0 in each replicate."""
    asked = settings.user_bootstrap_settings(load_config(None, [*SETTINGS, 'features.labels=["click"]']), requests=False)
    given = {name: artifacts[name] for name in ("examples", "schema")}
    run(
        UserBootstrap,
        tmp_path,
        "intervals",
        ConfidenceIntervals,
        {**given, "model": artifacts["both"], "baseline_model": artifacts["noise"]},
        **asked,
    )
    found = json.loads((tmp_path / "intervals" / "intervals.json").read_text())
    assert found["slices"][0]["metrics"]["auc"]["change"] == [0, 0] and found["further_labels"] == {}


@pytest.mark.parametrize("model", ["both", "older"])
def test_the_served_model_s_metrics_on_new_data_are_by_label(artifacts, columns, tmp_path, model):
    given = {"examples": artifacts["examples"], "schema": artifacts["schema"], "model": artifacts[model]}
    asked = settings.new_data_settings(load_config(None, SETTINGS))
    score = run(NewDataScore, tmp_path, "score", ModelScore, given, **asked)
    found = json.loads((tmp_path / "score" / "score.json").read_text())
    expected = {"click": ("label", "p"), "purchase": ("purchase", "q")} if model == "both" else {"click": ("label", "old")}
    assert score.uri and {label: metrics["auc"] for label, metrics in found.items()} == {
        label: pytest.approx(roc_auc_score(columns[y], columns[p]), abs=1e-9) for label, (y, p) in expected.items()
    }
