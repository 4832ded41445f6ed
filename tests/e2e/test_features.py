"""A user feature and a context feature, added by configuration alone; and bit-equal weights from one seed."""

from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import din_trainer.model  # noqa: F401  # registers DIN
from components.atomic_pusher import model_digest
from pipeline.datasets.layout import SPLITS, DatasetWriter
from pipeline.datasets.tfrecord import read_batches
from tests.e2e.conftest import run
from tests.impressions import make_column

SETTINGS = (
    "features.user.age_group.dtype=bytes",
    "features.context.hour.kind=numeric",
    'evaluation.slices=["historical_item_ids_length", "age_group"]',
    "training.deterministic=true",
)


@pytest.fixture(scope="module")
def data(tiny_data, tmp_path_factory):
    """The tiny data with an age group, missing for some users, and the hour of the day."""
    out = tmp_path_factory.mktemp("features") / "data"
    with DatasetWriter(out) as writer:
        for split in SPLITS:
            for batch in read_batches(tiny_data / split / "part-00000.tfrecord.gz"):
                users = batch.column("user_id").flatten().to_numpy()
                hours = batch.column("timestamp").flatten().to_numpy() // 3600 % 24
                ages = [None if user % 7 == 0 else b"young" if user % 2 else b"old" for user in users]
                columns = [*batch.columns, make_column(ages), make_column(hours.tolist())]
                writer.write(split, pa.RecordBatch.from_arrays(columns, [*batch.schema.names, "age_group", "hour"]))
    return out


@pytest.fixture(scope="module")
def summaries(data, tmp_path_factory):
    """The same run in two workspaces."""
    results = [run(tmp_path_factory.mktemp("workspace"), data, SETTINGS) for _ in range(2)]
    assert [result.code for result in results] == [0, 0], results[0].err
    return [result.summary for result in results]


def test_they_are_in_the_schema(summaries):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(Path(summaries[0]["schema_path"]).read_text(), schema_pb2.Schema())
    features = {feature.name: feature for feature in schema.feature}
    assert features["age_group"].type == schema_pb2.BYTES and features["hour"].type == schema_pb2.INT


def test_they_are_in_model_and_signature(summaries):
    model = tf.saved_model.load(summaries[0]["pushed_path"])
    inputs = model.signatures["predict"].structured_input_signature[1]
    assert inputs["age_group"].dtype == tf.string and inputs["hour"].dtype == tf.float32
    row = {"user_id": [1], "candidate_item_id": [2], "candidate_category_id": [1]}
    row |= {"historical_item_ids": [[1, 2]], "historical_category_ids": [[1, 1]]}
    raw = {name: tf.constant(value, tf.int64) for name, value in row.items()}

    def score(age, hour):
        return float(
            model.signatures["predict"](**raw, age_group=tf.constant([age]), hour=tf.constant([hour], tf.float32))["probability"][0]
        )

    scores = [score("young", 3), score("old", 3), score("young", 20), score("", 3)]
    assert len(set(scores)) == 4 and np.isfinite(scores).all()


def test_they_are_in_the_slices(summaries, data):
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(summaries[0]["tfma_path"])
    counts = {key[0][1]: m[""][""]["example_count"]["doubleValue"] for key, m in result.slicing_metrics if key and key[0][0] == "age_group"}
    users = np.concatenate([b.column("user_id").flatten().to_numpy() for b in read_batches(data / "eval" / "part-00000.tfrecord.gz")])
    known = users[users % 7 != 0]
    assert counts == {"young": (known % 2 == 1).sum(), "old": (known % 2 == 0).sum()}


def test_one_seed_gives_bit_equal_weights_in_two_workspaces(summaries):
    """ExampleGen's output order is random, so this needs an order of the trainer's own."""
    models = [keras.models.load_model(next(Path(s["model_path"]).parents[2].rglob("din.keras"))) for s in summaries]
    weights = [{weight.path: weight.numpy() for weight in model.weights} for model in models]
    assert len(weights[0]) > 30
    for path, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][path], err_msg=path)
    assert model_digest(Path(summaries[0]["pushed_path"])) == model_digest(Path(summaries[1]["pushed_path"]))
