"""Impressions of two days, and models that start from the one of the first day, for tests of a warm start."""

from pathlib import Path

import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.features import LABEL
from din_trainer.models.make_model import make_model
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.initial_tables import vocabulary_sizes
from din_trainer.training.warm_start.warm_start import StartModel, WarmStart
from din_trainer.transform.scales import read_scales
from tests.transforming import to_example

HOUR = 3600
BEHAVIOURS = {
    "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4, "oov_buckets": 2},
    "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "dim": 2},
}
FEATURES = {
    "history_length": 3,
    "time_gap": True,
    "behaviours": BEHAVIOURS,
    "user": {"user_id": {"dim": 2}},
    "context": {"price": {"kind": "numeric", "dtype": "float"}},
}


def impression(user, item, category, history, price=1.0, label=0):
    """A history is a list of (item, category); its events are one hour apart."""
    times = [hour * HOUR for hour in range(len(history))]
    return {
        "user_id": user, "candidate_item_id": item, "candidate_category_id": category, "label": label, "price": price,
        "historical_item_ids": [i for i, _ in history], "historical_category_ids": [c for _, c in history],
        "historical_timestamps": times, "timestamp": len(history) * HOUR + 60 * item,
    }  # fmt: skip


# The first day has the items 10 (three times), 20 (twice), 30 and 40; the categories a, b and c.
FIRST = [
    impression(1, 10, "a", [(20, "b"), (10, "a")], 3.0, 1),
    impression(1, 20, "b", [(10, "a")], 5.0),
    impression(2, 30, "c", [(40, "a")], -1.5),
]
# The second has 40 (four times), 50 and 60 (new, three times each, of the categories a and c), 20, but neither 10 nor 30.
SECOND = [
    impression(2, 40, "a", [(40, "a"), (50, "a"), (60, "c")], 100.0),
    impression(3, 50, "a", [(40, "a"), (50, "a"), (60, "c")], 700.0, 1),
    impression(3, 60, "c", [(40, "a"), (20, "b")], 200.0),
]
OLD_IDS = [impression(2, 40, "a", [(20, "b"), (40, "a")], 7.25), impression(1, 20, "b", [], -3.0), impression(2, 20, "c", [(40, "a")], 0.1)]
# Item 20 is known on both days, user 1 on the first alone: it is remembered.


def kept_by(graph: Path, forget_after, elapsed=1):
    values = {"transform_graph": str(graph), "elapsed": elapsed, "forget_after": forget_after}
    return {"values": values, "scales": read_scales(graph, ["price", "historical_time_gaps"])}


def configure(model=None, training=None, **features):
    return DINConfig.model_validate(
        {"features": FEATURES | features, "model": {"hidden": [5, 3], **(model or {})}, "training": training or {}}
    )


def made(config, transform_output):
    return make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))


def start_from(model, graph, folder):
    model.save(folder / "start.keras")
    return StartModel(folder / "start.keras", graph.transform_savedmodel_dir.removesuffix("/transform_fn"))


def taken_over(config, days, start, batches=(), from_files=None):
    """A model of the second day after its warm start, with the report."""
    model = made(config, days[1])
    warm = WarmStart(model, days[1], start, from_files or {})
    warm.take_over(batches)
    return model, warm


def scores(model, transform_output, rows):
    read = raw_example_reader(model.din_config.features, transform_output)
    features = read(tf.constant([to_example(row) for row in rows]))
    return model.infer({name: values for name, values in features.items() if name != LABEL}).numpy()
