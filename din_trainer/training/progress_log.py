"""Logs how far training is. Programs that show it add a handler to the logger `din_trainer.progress`."""

import logging
import math
import time

import keras

progress = logging.getLogger("din_trainer.progress")


class ProgressLog(keras.callbacks.Callback):
    """Logs speed and AUC to `progress`: about once a second within an epoch, and after each epoch."""

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch, self._first = epoch + 1, int(self.model.optimizer.iterations)
        self._started = self._now = self._logged = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._now = time.monotonic()
        if self._now - self._logged >= 1.0:
            self._logged = self._now
            auc = (logs or {}).get("auc", math.nan)
            progress.info("epoch %d, %s impressions/s, AUC %.4f", self._epoch, self._rate(), auc)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        auc, validation_auc = logs.get("auc", math.nan), logs.get("val_auc", math.nan)
        progress.info("%s impressions/s, epoch %d: AUC %.4f, validation AUC %.4f", self._rate(), self._epoch, auc, validation_auc)

    def _rate(self) -> str:
        """Impressions a second in this epoch, without validation."""
        steps = int(self.model.optimizer.iterations) - self._first
        return f"{steps * self._batch_size / max(self._now - self._started, 1e-9):,.0f}"
