"""Dropout whose random numbers do not depend on the number of workers."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.exchange.collectives import current
from din_trainer.layers.events import rows_of


@keras.saving.register_keras_serializable("din_trainer")
class Dropout(keras.layers.Dropout):
    """Keras' dropout, on impressions in parts, (N, D) each.

    With several workers, each one draws the numbers of the whole batch and takes those of its own rows.
    """

    def call(self, parts: list[Any], training: bool = False) -> list[Any]:
        if not training or not self.rate:
            return parts
        sizes, workers = [rows_of(x) for x in parts], current()
        of_workers = workers.part if workers else None
        rows = of_workers.batch if of_workers else tf.add_n(sizes)
        kept = super().call(tf.ones([rows, parts[0].shape[1]], parts[0].dtype), training=True)
        if of_workers:
            kept = tf.gather(kept, of_workers.places)
        return [x * of_part for x, of_part in zip(parts, tf.split(kept, sizes), strict=True)]
