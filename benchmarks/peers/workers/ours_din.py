"""Our DIN, trained and scored by the functions of `din run`: the compiled model's `fit`, `Split` for TFRecords, and `logits_of`.

With `--tfrecords` it trains from gzipped TFRecords of transformed examples, else from memory like the peers. With `--parts=N` a batch is
cut into N parts (`din_trainer.layers.parts`).
"""

import os
import sys
import tempfile
from collections.abc import Callable
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from harness import Data, Model, serve

TOGETHER = 8192  # rows that are gathered together, as `Split` does
COLUMNS = ("user_id", "candidate_item_id", "historical_item_ids")


def _settings(data: Data) -> dict[str, Any]:
    """Returns the configuration: one behaviour, the user, the paper's inputs and no dropout, like the peers."""
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
    features = {"behaviours": {"item": item}, "history_length": data.historical_item_ids.shape[1]}
    return {"features": features, "model": {"dropout": 0.0, "interactions": "none"}}


def _write_tfrecords(data: Data, file: Path) -> dict[str, Any]:
    """Writes the training rows as Transform would. Returns their feature spec."""
    import tensorflow as tf

    arrays = {name: getattr(data, name)[: data.n_train] for name in (*COLUMNS, "label")}
    with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in range(data.n_train):
            features = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(values[row]))) for name, values in arrays.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return {name: tf.io.FixedLenFeature(values.shape[1:], tf.int64) for name, values in arrays.items()}


def _from_tfrecords(data: Data) -> Callable[[int, int], Any]:
    """Returns `batches(batch, rows)`, which reads TFRecords like `din run`."""
    import tensorflow as tf

    from din_trainer.training.input_pipeline import Split

    folder = tempfile.TemporaryDirectory(prefix="din-bench-")
    file = Path(folder.name) / "train.tfrecord.gz"
    spec = _write_tfrecords(data, file)

    def batches(batch: int, rows: int) -> Any:
        _ = folder  # keeps the folder as long as this function exists
        epochs = -(-rows // data.n_train)
        split = Split([str(file)], lambda serialized: tf.io.parse_example(serialized, spec), batch, shuffle_seed=0)
        return reduce(tf.data.Dataset.concatenate, map(split.epoch, range(epochs))).take(rows // batch)

    return batches


def build(data: Data) -> Model:
    """Makes the model, compiled like in `din_trainer.training.loop.train`."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from din_trainer.training.card_settings import share_cards
    from din_trainer.training.threads import share_cores

    share_cards()
    share_cores()
    import keras
    import tensorflow as tf
    from op_times import shares_of_work

    from din_trainer.config import DINConfig
    from din_trainer.devices import in_words
    from din_trainer.layers import parts
    from din_trainer.models.make_model import make_model
    from din_trainer.training.compile_model import compile_model
    from din_trainer.training.validation import logits_of

    for option in sys.argv:
        if option.startswith("--parts="):
            parts.PARTS = int(option.removeprefix("--parts="))
    model = make_model(DINConfig.model_validate(_settings(data)), {"item": data.n_items + 1, "user_id": data.n_users + 1})
    compile_model(model)
    tensors = {name: tf.constant(getattr(data, name), tf.int64) for name in COLUMNS}
    labels = tf.constant(data.label, tf.int64)
    options = tf.data.Options()
    options.autotune.enabled = False

    def gather(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {name: tf.gather(values, rows) for name, values in tensors.items()}, tf.gather(labels, rows)

    shuffled = np.random.default_rng(0)

    def from_memory(batch: int, rows: int) -> tf.data.Dataset:
        epochs = [shuffled.permutation(data.n_train) for _ in range(-(-rows // data.n_train))]
        numbers = tf.constant(np.concatenate(epochs))
        block = max(TOGETHER // batch, 1) * batch
        blocks = tf.data.Dataset.range(-(-rows // block)).map(
            lambda i: gather(numbers[i * block : tf.minimum((i + 1) * block, rows)]), num_parallel_calls=2
        )
        return blocks.rebatch(batch).prefetch(8).with_options(options)

    batches = _from_tfrecords(data) if "--tfrecords" in sys.argv else from_memory

    def train(batch: int, rows: int) -> float:
        return keras.Model.fit(model, batches(batch, rows), verbose=0).history["loss"][0]  # as `train`, without the checks of a user's data

    def predict(batch: int, rows: np.ndarray) -> np.ndarray:
        scored = logits_of(model, tf.data.Dataset.from_tensor_slices(rows).batch(batch).map(gather).with_options(options))
        return 1 / (1 + np.exp(-scored))

    def profile(batch: int) -> dict[str, float]:
        return shares_of_work(lambda: train(batch, 32 * batch))

    return Model(f"{version('din-tfx')} on {in_words()}", train, predict, profile)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    serve(build)
