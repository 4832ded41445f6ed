"""A SavedModel with the signatures and features of the demo, whose scores can be calculated without TensorFlow."""

import json
import math
import tempfile
from pathlib import Path

import tensorflow as tf

from components.serving.store.models_config import ServedModel, write_models_config
from din_trainer.config import ORIGIN_FILE, DINConfig

NAMES = ("user_id", "candidate_item_id", "candidate_category_id", "historical_item_ids", "historical_category_ids")
ROWS = [dict(zip(NAMES, row, strict=True)) for row in ((3, 7, 2, [4, 0, 9], [1, 1, 2]), (0, 1, 5, [], []), (8, 0, 0, [6], [3]))]
CANDIDATES = [
    [{"candidate_item_id": 7, "candidate_category_id": 2}, {"candidate_item_id": 2, "candidate_category_id": 1}],
    [{"candidate_item_id": 1, "candidate_category_id": 5}],
    [],
]


def probability(row, bias=0.0):
    """Returns what the model answers to an impression."""
    history = 5 * sum(row["historical_item_ids"]) + 2 * sum(row["historical_category_ids"])
    score = 10 * row["user_id"] - 30 * row["candidate_item_id"] + 20 * row["candidate_category_id"] + history
    return 1 / (1 + math.exp(-score / 10_000 - bias))


class _Toy(tf.Module):
    """Looks candidate items up in a vocabulary of the numbers 0 to 999, so that it has an asset."""

    def __init__(self, bias, vocabulary):
        super().__init__()
        self.bias = tf.Variable(bias, dtype=tf.float32)
        whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        self.items = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(vocabulary, tf.string, whole, tf.int64, number), -1)

    def score(self, user_id, candidate_item_id, candidate_category_id, historical_item_ids, historical_category_ids):
        candidate_item_id = self.items.lookup(tf.strings.as_string(candidate_item_id))
        user, item, category = (tf.cast(x, tf.float32) for x in (user_id, candidate_item_id, candidate_category_id))
        real = tf.cast(historical_item_ids >= 0, tf.float32)
        events = 5 * tf.cast(historical_item_ids, tf.float32) + 2 * tf.cast(historical_category_ids, tf.float32)
        per_user = 10 * user + tf.reduce_sum(real * events, 1)
        if item.shape.rank == 2:
            per_user = per_user[:, tf.newaxis]
        return {"probability": tf.sigmoid((per_user - 30 * item + 20 * category) / 10_000 + self.bias)}

    def score_examples(self, examples):
        scalar, history = tf.io.FixedLenFeature([], tf.int64), tf.io.RaggedFeature(tf.int64)
        parsed = tf.io.parse_example(examples, {name: history if name.startswith("historical") else scalar for name in NAMES})
        return self.score(**{name: x.to_tensor(-1) if isinstance(x, tf.RaggedTensor) else x for name, x in parsed.items()})

    def echo(self, text, number, flag):
        return {"text": text, "data_bytes": text, "number": number, "flag": flag}


def save(folder, bias=0.0):
    """Writes a version whose scores differ by `bias`. Its signature `echo` returns its inputs, of any shape."""
    with tempfile.TemporaryDirectory() as aside:
        vocabulary = Path(aside, "item")
        vocabulary.write_text("".join(f"{item}\n" for item in range(1000)))
        _save(_Toy(bias, str(vocabulary)), folder)
    (folder / ORIGIN_FILE).parent.mkdir(exist_ok=True)
    (folder / ORIGIN_FILE).write_text(json.dumps({"config": DINConfig().model_dump(mode="json"), "source": "toy"}))


def _save(toy, folder):

    def scores(*two_dimensional):
        specs = {name: tf.TensorSpec([None] * (1 + name.startswith(two_dimensional)), tf.int64, name=name) for name in NAMES}
        return tf.function(toy.score).get_concrete_function(**specs)

    kinds = {"text": tf.string, "number": tf.float32, "flag": tf.bool}
    signatures = {
        "serving_default": tf.function(toy.score_examples).get_concrete_function(tf.TensorSpec([None], tf.string, name="examples")),
        "predict": scores("historical"),
        "rank": scores("historical", "candidate"),
        "echo": tf.function(toy.echo).get_concrete_function(**{name: tf.TensorSpec(None, kind, name=name) for name, kind in kinds.items()}),
    }
    tf.saved_model.save(toy, str(folder), signatures=signatures)


def serve(folder, *also, **labels):
    """Writes `models.config` with versions by label. These versions and those in `also` are loaded."""
    write_models_config(folder, ServedModel("demo", "/elsewhere/demo", labels), also=also)
