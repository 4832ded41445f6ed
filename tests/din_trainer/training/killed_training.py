"""A small training that is the same each time. As a program it keeps the state that a first kill would leave, and kills itself later."""

import os
import shutil
import signal
import sys
from pathlib import Path

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.checkpoints import Checkpoints
from din_trainer.training.loop import Trained, seed_everything, train
from tests.din_trainer.batches import SIZES, make_dataset

EPOCHS, ROWS = 2, 64 * 70  # 70 batches an epoch: two calls of TensorFlow with 32 steps and one with 6
SAVES = 4  # in an epoch: after each of the three calls and at its end
CONFIG = {
    "model": {"dropout": 0.2, "attention_hidden": [4, 3], "hidden": [8, 4]},
    "training": {"epochs": EPOCHS, "patience": 9, "batch_size": 64, "deterministic": True},
}


def train_in(folder: Path | None, **options) -> Trained:
    seed_everything(5, deterministic=True)
    model = make_model(DINConfig.model_validate(CONFIG), SIZES)
    return train(model, lambda epoch: make_dataset(ROWS, 1, shuffle=epoch), make_dataset(300, 2), None, folder, **options)


def main(killed: Path, kill_after: int, kept: Path, keep_after: int) -> None:
    """Trains in `killed`, copies the folder to `kept` after some saves, and gets killed after more of them."""
    saves = 0

    def counted(method):
        def save(self, *args):
            nonlocal saves
            method(self, *args)
            saves += 1
            if saves == keep_after:
                shutil.copytree(killed, kept)
            if saves == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

        return save

    Checkpoints.save, Checkpoints.end_epoch = counted(Checkpoints.save), counted(Checkpoints.end_epoch)
    train_in(killed, checkpoint_seconds=0.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
