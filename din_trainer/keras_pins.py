"""Everything that `din_trainer` uses of Keras although it is no public API: after an upgrade, look here first.

`tests/din_trainer/test_keras_pins.py` checks each use against the installed Keras. One more use cannot stand here: `LazyAdam` overrides
Keras' private method `_clip_gradients`; a test shows that Keras calls it.
"""

from typing import Any

import keras
import tensorflow as tf


def adam_moments(optimizer: keras.optimizers.Adam, variable: Any) -> tuple[tf.Variable, tf.Variable]:
    """Returns the first and the second moment that Keras' Adam keeps of a variable, each of its shape."""
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index].value, optimizer._velocities[index].value
