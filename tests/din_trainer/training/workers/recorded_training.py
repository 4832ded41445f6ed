"""A small training whose loss is recorded after each step. As a program it is one of several workers."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.exchange.collectives import current, together
from din_trainer.exchange.mesh import Mesh
from din_trainer.models.make_model import make_model
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.compile_model import compile_model
from din_trainer.training.input_pipeline import Split
from din_trainer.training.loop import seed_everything
from din_trainer.training.validation import Validation
from din_trainer.training.workers.end_of_epoch import EndOfEpoch
from din_trainer.training.workers.shared_split import SharedSplit
from din_trainer.training.workers.shared_step import SharedStep
from tests.din_trainer.batches import SIZES, make_batch

BATCH, LENGTH = 64, 6
LABELS = ("label", "purchase")


class Setting(NamedTuple):
    """A training: its configuration, the rows of its shards, and the room for them."""

    config: dict
    shards: tuple[int, ...]
    memory_mb: float = 100.0
    epochs: int = 1


def write_shards(folder: Path, sizes: tuple[int, ...]) -> list[str]:
    """Random impressions with two labels and a weight. The first shards have no events, so that workers have very different numbers."""
    files = []
    for shard, rows in enumerate(sizes):
        batch, rng = make_batch(rows, LENGTH, seed=shard), np.random.default_rng(100 + shard)
        if shard < 2:
            batch["historical_item_ids"][: rows // 2] = batch["historical_category_ids"][: rows // 2] = 0
        logit = (batch["candidate_item_id"] % 3) - 1.5 + (batch["historical_item_ids"] == batch["candidate_item_id"][:, None]).sum(1)
        batch["label"] = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
        batch["purchase"] = batch["label"] * (rng.random(rows) < 0.5)
        weights = rng.uniform(0.5, 2, rows)
        file = folder / f"part-{shard}.gz"
        with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for row in range(rows):
                features = {
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(values[row]))) for name, values in batch.items()
                }
                features["sample_weight"] = tf.train.Feature(float_list=tf.train.FloatList(value=[weights[row]]))
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
        files.append(str(file))
    return files


def read(labels: tuple[str, ...], weighted: bool):
    spec = {name: tf.io.FixedLenFeature(values.shape[1:], tf.int64) for name, values in make_batch(1, LENGTH).items()}
    spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in labels}
    if weighted:
        spec["sample_weight"] = tf.io.FixedLenFeature([], tf.float32)
    return lambda serialized: tf.io.parse_example(serialized, spec)


class Recorder(keras.callbacks.Callback):
    """Keeps the loss and the AUC of each single step."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        if not self.model.stop_training:
            self.steps.append([logs["loss"], logs["auc"]])
        self.model.reset_metrics()


class Recorded(NamedTuple):
    steps: np.ndarray  # (steps, 2): loss and AUC
    weights: dict[str, np.ndarray]
    validation: dict[str, float]


def train_recorded(setting: Setting, files: list[str], batches: tf.data.Dataset | None = None) -> Recorded:
    """Trains in this process, as one of several workers if it is one; on other batches than those of the files if they are given."""
    config = DINConfig.model_validate(setting.config)
    keras.utils.clear_session()  # the names of weights do not depend on the models before
    seed_everything(5, deterministic=True)
    model: RankingModel = make_model(config, SIZES)
    for table in model.tables.values():
        if table.regularization:
            table.set_counts(np.arange(table.size) % 7)  # 0: not regularised
    compile_model(model)
    model.steps_per_execution = 1
    workers, callbacks, make_split = current(), [], Split
    if workers:
        model.train_step = SharedStep(model, workers)
        callbacks.append(EndOfEpoch())

        def make_split(*args, **settings):
            return SharedSplit(workers, *args, **settings)

    reader = read(config.features.labels, bool(config.features.weight))
    kept = {"labels": config.features.labels, "memory_mb": setting.memory_mb}
    split = make_split(files, reader, BATCH, shuffle_seed=3, negative_rate=config.training.negative_rate, **kept)
    recorder, figures = Recorder(), {}
    validation = Validation(model, make_split(files[:2], reader, BATCH, **kept).own_rows())
    for epoch in range(setting.epochs):
        keras.Model.fit(model, batches or split.epoch(epoch), callbacks=[*callbacks, recorder], verbose=0)
        validation.on_epoch_end(epoch, figures)
    return Recorded(np.array(recorder.steps), {w.path: np.array(w) for w in (*model.weights, *model.optimizer.variables)}, figures)


def main(folder: Path, worker: int, workers: int) -> None:
    addresses = [str(folder / f"{number}.socket") for number in range(workers)]
    with together(Mesh(worker, addresses, b"secret")):
        for name, (setting, files) in json.loads((folder / "settings.json").read_text()).items():
            result = train_recorded(Setting(*setting), files)
            weights = {f"weight {path}": value for path, value in result.weights.items()}
            figures = np.array(list(result.validation.values()))
            np.savez(folder / f"{name}-{worker}.npz", steps=result.steps, figures=figures, **weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
