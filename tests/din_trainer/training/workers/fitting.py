"""`fit` on a small data set with its own Transform graph. As a program it trains by two workers, and saves the model."""

import logging
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from benchmarks.exports.transform_analysis import analyse
from din_trainer.config import DINConfig
from din_trainer.training.fit import fit
from din_trainer.training.loop import Trained
from pipeline.terminal import interrupt_on_sigterm
from tests.transforming import to_example

FEATURES = {
    "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4}},
    "user": {"user_id": {"dim": 2}},
}
EPOCHS = 3
MODEL = {"hidden": [8], "attention_hidden": [4], "dropout": 0.2}


def impressions(count: int, seed: int) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for item in rng.integers(0, 40, count):
        history = [int(event) for event in rng.integers(0, 40, rng.integers(0, 5))]
        label = int(rng.random() < (0.7 if item % 3 == 0 else 0.3))
        user = int(rng.integers(0, 20))
        rows.append({"user_id": user, "candidate_item_id": int(item), "historical_item_ids": history, "label": label})
    return rows


def prepare(folder: Path) -> None:
    """Writes the Transform graph, three shards to train on and one to validate on."""
    features = DINConfig.model_validate({"features": FEATURES}).features
    analyse(impressions(500, 0), features, folder / "graph")
    for name, count in {"train-0": 900, "train-1": 800, "train-2": 701, "validation-0": 301}.items():
        with tf.io.TFRecordWriter(str(folder / name), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for row in impressions(count, count):
                writer.write(to_example(row))


def fit_in(folder: Path, checkpoints: Path, **training) -> Trained:
    settings = {"batch_size": 64, "epochs": EPOCHS, "patience": 9, "deterministic": True, **training}
    config = DINConfig.model_validate({"features": FEATURES, "model": MODEL, "training": settings})
    files = [[str(file) for file in sorted(folder.glob(f"{split}-*"))] for split in ("train", "validation")]
    return fit(config, tft.TFTransformOutput(str(folder / "graph")), *files, None, checkpoints)


if __name__ == "__main__":
    interrupt_on_sigterm()
    logger = logging.getLogger("din_trainer.progress")
    logger.setLevel("INFO")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    fit_in(Path(sys.argv[1]), Path(sys.argv[2]) / "checkpoints", workers=2, epochs=int(sys.argv[3])).model.save(
        Path(sys.argv[2]) / "trained.keras"
    )
