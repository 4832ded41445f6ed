"""LazyAdam: an Adam that updates only the embedding rows that a batch reads."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.keras_pins import adam_moments


def with_unique_rows(gradient: Any) -> Any:
    """Adds up the gradients of each row, so that every row occurs once. A dense gradient stays as it is."""
    if not isinstance(gradient, tf.IndexedSlices) or _are_unique(gradient.indices):
        return gradient
    rows, index = tf.unique(gradient.indices)
    return tf.IndexedSlices(tf.math.unsorted_segment_sum(gradient.values, index, tf.shape(rows)[0]), rows, gradient.dense_shape)


def _are_unique(rows: tf.Tensor) -> bool:
    """Whether rows of a gradient are known to differ: in a graph, those that `EmbeddingTable` has read are what `tf.unique` gave."""
    if not tf.is_symbolic_tensor(rows):
        return False
    while rows.op.type in ("Reshape", "Identity"):
        rows = rows.op.inputs[0]
    return rows.op.type == "Unique" and rows.value_index == 0


@keras.saving.register_keras_serializable("din_trainer")
class LazyAdam(keras.optimizers.Adam):
    """Adam that does not change the embedding rows that a batch does not read, nor their moments. Such rows cost nothing.

    It differs from the textbook's Adam (Kingma & Ba, 2015), which decays the moments of every row at every step, and moves each row as long
    as its first moment is not zero. Here the moments of a row decay, and the row moves, only in the steps in which it occurs. The bias
    correction counts all steps, as in the textbook. So a rare row keeps the momentum of its last occurrences, and does not move without
    data. Variables with dense gradients get exactly the textbook's update, in one fused kernel.

    Args are those of `keras.optimizers.Adam`. For clipping only `global_clipnorm` is possible; it sums the gradients of each row first.

    Raises:
        ValueError: An option that would change every row is set, such as `amsgrad`, `weight_decay` or `use_ema`, or another clipping.
    """

    def __init__(self, learning_rate: Any = 0.001, name: str = "lazy_adam", **kwargs: Any):
        dense = [option for option in ("amsgrad", "weight_decay", "use_ema", "clipnorm", "clipvalue") if kwargs.get(option)]
        if dense:
            raise ValueError(f"LazyAdam updates single rows, so it has no {dense[0]}; received {dense[0]}={kwargs[dense[0]]!r}")
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        self._decays = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)  # once for all variables
        super().apply([with_unique_rows(gradient) for gradient in grads], trainable_variables)

    def _clip_gradients(self, grads: Any) -> Any:
        """Clips by the norm of all gradients. Keras' own method would turn the gradient of a few rows into one of the whole table."""
        return tf.clip_by_global_norm(grads, self.global_clipnorm)[0] if self.global_clipnorm else grads

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        first, second = adam_moments(self, variable)
        learning_rate = tf.cast(learning_rate, variable.dtype)
        decay_1, decay_2 = (tf.cast(decay, variable.dtype) for decay in self._decays)
        if isinstance(gradient, tf.IndexedSlices):
            rate = learning_rate * tf.sqrt(1.0 - decay_2) / (1.0 - decay_1)
            self._update_rows(gradient, variable, first, second, rate)
            return
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.handle,
            v=second.handle,
            beta1_power=decay_1,
            beta2_power=decay_2,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def _update_rows(self, gradient: tf.IndexedSlices, variable: tf.Variable, first: tf.Variable, second: tf.Variable, rate: Any) -> None:
        rows, values = gradient.indices, gradient.values
        m, v = tf.gather(first, rows), tf.gather(second, rows)
        m += (values - m) * (1.0 - self.beta_1)
        v += (tf.square(values) - v) * (1.0 - self.beta_2)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        # a gather asks the memory for rows ahead of time, which makes this several times faster than a scatter_sub in a large table
        updated = tf.gather(variable, rows) - rate * m / (tf.sqrt(v) + self.epsilon)
        variable.scatter_update(tf.IndexedSlices(updated, rows))
