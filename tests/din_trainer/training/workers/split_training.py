"""A small training with split tables and checkpoints. As a program it is one of two workers, which may kill itself while it saves."""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from din_trainer.config import DINConfig
from din_trainer.exchange.collectives import current, together
from din_trainer.exchange.mesh import Mesh
from din_trainer.models.make_model import make_model
from din_trainer.training.input_pipeline import Split
from din_trainer.training.loop import Trained, seed_everything, train
from din_trainer.training.split_tables import OwnRows, whole_model
from din_trainer.training.workers.shared_split import SharedSplit
from tests.din_trainer.batches import SIZES
from tests.din_trainer.training.workers.recorded_training import BATCH, read

STEPS = 40  # batches an epoch: one call of TensorFlow with 32 steps and one with 8
SHARDS = (STEPS * BATCH // 2, STEPS * BATCH // 2, 150, 51)  # the last two are for validation: worker 0 has more batches of it
CONFIG = {
    "model": {"kind": "deepfm", "dropout": 0.2, "hidden": [8, 4]},
    "features": {"history_length": 6},
    "training": {"workers": 2, "split_rows": 12, "epochs": 2, "patience": 9, "batch_size": BATCH, "deterministic": True},
}


def train_in(folder: Path | None, files: list[str]) -> Trained:
    seed_everything(5, deterministic=True)
    config, workers = DINConfig.model_validate(CONFIG), current()
    model, reader = make_model(config, SIZES), read(config.features.labels, weighted=False)
    if workers:
        training = SharedSplit(workers, files[:2], reader, BATCH, shuffle_seed=3)
        validation = SharedSplit(workers, files[2:], reader, BATCH).own_rows()
    else:
        training, validation = Split(files[:2], reader, BATCH, shuffle_seed=3), Split(files[2:], reader, BATCH).epoch()
    return train(model, training.epoch, validation, None, folder, checkpoint_seconds=0.0)


def _kill_at(saves: int) -> None:
    write = OwnRows.write
    done = 0

    def counted(self: OwnRows, name: str, **settings: bool) -> None:
        nonlocal done
        done += 1
        if done == saves:  # this worker's rows are written, but nobody's are complete
            self.workers.gather = lambda x: os.kill(os.getpid(), signal.SIGKILL)
        write(self, name, **settings)

    OwnRows.write = counted


def main(folder: Path, worker: int, kill_at: int) -> None:
    """Trains, and writes `WORKER.npz` and, as the first worker, `whole.keras`."""
    if kill_at:
        _kill_at(kill_at)
    with together(Mesh(worker, [str(folder / f"{number}.socket") for number in range(2)], b"secret", patience=300)) as workers:
        model, epochs, _ = train_in(folder / "checkpoints", sorted(map(str, folder.glob("part-*.gz"))))
        whole = whole_model(model, workers, wanted=worker == 0)
    if worker == 0:
        whole.save(folder / "whole.keras")
    rows = [weight.shape[0] for weight in model.weights if "embeddings" in weight.path]
    np.savez(folder / f"{worker}.npz", rows=rows, auc=epochs[-1]["val_auc"], loss=epochs[-1]["loss"])


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
