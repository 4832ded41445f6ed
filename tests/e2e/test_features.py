"""What configuration alone adds: features, a second sequence, weights, embeddings, ways to train; and bit-equal weights from one seed."""

from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import din_trainer.trainer  # noqa: F401  # registers models and optimizer
from components.base.tfrecord import read_batches
from components.serving.store.model_digest import model_digest
from pipeline.datasets.layout import SPLITS, DatasetWriter
from tests.e2e.conftest import run
from tests.sample_data import make_column

ITEMS = 60
VECTORS = np.random.default_rng(0).normal(size=(ITEMS, 16)).astype(np.float32)

SETTINGS = (
    "features.user.age_group.dtype=bytes",
    "features.context.hour.kind=numeric",
    'features.behaviours.cart={candidate="candidate_item_id", history="cart_item_ids", vocabulary="item", sequence="cart"}',
    "features.behaviours.item.trainable=false",
    "features.time_gap=true",
    "features.history_length=4",
    "features.long_history_length=10",
    'model.long_history={search="hash", events=3}',
    "features.weight=importance",
    'evaluation.slices=["historical_item_ids_length", "age_group"]',
    "evaluation.thresholds.auc.at_least=0",
    "training.deterministic=true",
    "training.regularization=0.01",
    "training.clip_norm=1.0",
    'training.schedule={kind="cosine", steps=40, warmup_steps=5}',
    "training.negative_rate=0.5",
)


def widen(batch):
    """A batch with an age group, missing for some users, the hour of the day, a cart and a weight."""
    users = batch.column("user_id").flatten().to_numpy()
    hours = batch.column("timestamp").flatten().to_numpy() // 3600 % 24
    columns = {
        "age_group": [None if user % 7 == 0 else b"young" if user % 2 else b"old" for user in users],
        "hour": hours.tolist(),
        "cart_item_ids": [history[::3] for history in batch.column("historical_item_ids").to_pylist()],
        "importance": [1.0 + float(user % 2) for user in users],
    }
    added = [make_column(values) for values in columns.values()]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], [*batch.schema.names, *columns])


@pytest.fixture(scope="module")
def data(tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("features") / "data"
    with DatasetWriter(out) as writer:
        for split in SPLITS:
            for batch in read_batches(tiny_data / split / "part-00000.tfrecord.gz"):
                writer.write(split, widen(batch))
    return out


@pytest.fixture(scope="module")
def summaries(data, tmp_path_factory):
    """The same run in two workspaces."""
    file = tmp_path_factory.mktemp("embeddings") / "items.npz"
    np.savez(file, ids=np.arange(ITEMS), vectors=VECTORS)
    settings = (*SETTINGS, f"features.behaviours.item.embeddings={file}")
    results = [run(tmp_path_factory.mktemp("workspace"), data, settings) for _ in range(2)]
    assert [result.code for result in results] == [0, 0], results[0].err
    return [result.summary for result in results]


@pytest.fixture(scope="module")
def models(summaries):
    return [keras.models.load_model(next(Path(s["model_path"]).parents[2].rglob("din.keras"))) for s in summaries]


def test_they_are_in_the_schema(summaries):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(Path(summaries[0]["schema_path"]).read_text(), schema_pb2.Schema())
    features = {feature.name: feature for feature in schema.feature}
    assert features["age_group"].type == schema_pb2.BYTES and features["hour"].type == schema_pb2.INT
    assert features["importance"].type == schema_pb2.FLOAT and features["cart_item_ids"].type == schema_pb2.INT


def test_they_are_in_model_and_signature(summaries):
    model = tf.saved_model.load(summaries[0]["pushed_path"])
    inputs = model.signatures["predict"].structured_input_signature[1]
    assert inputs["age_group"].dtype == tf.string and inputs["hour"].dtype == tf.float64
    assert {"cart_item_ids", "historical_timestamps", "timestamp"} < set(inputs) and "importance" not in inputs
    row = {"user_id": [1], "candidate_item_id": [2], "candidate_category_id": [1], "timestamp": [9000]}
    row |= {"historical_item_ids": [[1, 2]], "historical_category_ids": [[1, 1]], "historical_timestamps": [[10, 8000]]}
    row |= {"cart_item_ids": [[3]], "age_group": ["young"], "hour": [3.0]}

    def score(**changes):
        raw = {name: tf.constant(value, inputs[name].dtype) for name, value in {**row, **changes}.items()}
        return float(model.signatures["predict"](**raw)["probability"][0])

    changes = [{}, {"age_group": ["old"]}, {"age_group": [""]}, {"hour": [20.0]}, {"cart_item_ids": [[-1]]}, {"timestamp": [90_000_000]}]
    scores = [score(**change) for change in changes]
    assert len(set(scores)) == len(changes) and np.isfinite(scores).all()


def test_the_long_history_is_read_and_checked(summaries, models):
    """Eight events: the last four by one attention unit, the three nearest of all eight by another one."""
    assert {"clicks", "long_history"} <= set(models[0].attention) and models[0].hash_search.vectors
    assert summaries[0]["sameness"]["differences"]["rank"] < 1e-6


def test_five_impressions_are_shown_with_their_candidates(summaries):
    assert len(summaries[0]["sample_predictions"]) == 5
    assert {"user_id", "candidate_item_id", "age_group", "probability"} <= set().union(*summaries[0]["sample_predictions"])


def test_they_are_in_the_slices(summaries, data):
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(summaries[0]["tfma_path"])
    counts = {key[0][1]: m[""][""]["example_count"]["doubleValue"] for key, m in result.slicing_metrics if key and key[0][0] == "age_group"}
    users = np.concatenate([b.column("user_id").flatten().to_numpy() for b in read_batches(data / "eval" / "part-00000.tfrecord.gz")])
    known = users[users % 7 != 0]
    assert counts == {"young": (known % 2 == 1).sum(), "old": (known % 2 == 0).sum()}


def test_embeddings_that_training_may_not_move_are_the_file_s(summaries, models):
    artifacts = Path(summaries[0]["model_path"]).parents[3]
    items = next(artifacts.rglob("transform_fn/assets/item")).read_text().split()
    assert len(items) > ITEMS / 2
    table = models[0].tables["item"].embeddings
    np.testing.assert_array_equal(table[1 : 1 + len(items)], VECTORS[[int(item) for item in items]])
    assert table.shape[0] == 1 + len(items) + 1  # padding before, out of vocabulary after


def test_no_killed_training_is_left_behind(summaries):
    for summary in summaries:
        workspace = Path(summary["log_path"]).parents[2]
        assert not [path for path in (workspace / "checkpoints").rglob("*") if path.is_file()]


def test_one_seed_gives_bit_equal_weights_in_two_workspaces(summaries, models):
    """ExampleGen's output order is random, so this needs an order of the trainer's own."""
    weights = [{weight.path: weight.numpy() for weight in model.weights} for model in models]
    assert len(weights[0]) > 30
    for path, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][path], err_msg=path)
    assert model_digest(Path(summaries[0]["pushed_path"])) == model_digest(Path(summaries[1]["pushed_path"]))
