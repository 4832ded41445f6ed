"""Dropout whose random numbers do not depend on the number of workers."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.exchange.collectives import current


@keras.saving.register_keras_serializable("din_trainer")
class Dropout(keras.layers.Dropout):
    """Keras' dropout. With several workers, each one draws the numbers of the whole batch and takes those of its own rows, (n, D)."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        workers = current()
        if not training or workers is None or workers.part is None:
            return super().call(inputs, training=training)
        places, batch = workers.part
        whole = super().call(tf.ones([batch, *inputs.shape[1:]], inputs.dtype), training=True)
        return inputs * tf.gather(whole, places)
