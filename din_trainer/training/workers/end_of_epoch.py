"""Ends an epoch when no worker has rows any more."""

from typing import Any

import keras

from din_trainer.training.workers.shared_step import ROWS


class EndOfEpoch(keras.callbacks.Callback):
    """Stops Keras' `fit` behind the last rows of all workers, if these come from streams, and takes their number out of the logs."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if logs and logs.pop(ROWS, None) == 0:
            self.model.stop_training = True
