"""Everything that `din_trainer` uses of Keras although it is no public API: after an upgrade, look here first.

`tests/din_trainer/test_keras_pins.py` checks each use against the installed Keras. One more use cannot stand here: `LazyAdam` overrides
Keras' private method `_clip_gradients`; a test shows that Keras calls it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from keras.src.saving import saving_lib


def adam_moments(optimizer: keras.optimizers.Adam, variable: Any) -> tuple[tf.Variable, tf.Variable]:
    """Returns the first and the second moment that Keras' Adam keeps of a variable, each of its shape."""
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index].value, optimizer._velocities[index].value


@contextmanager
def saved_by_disk() -> Iterator[None]:
    """While this is open, Keras writes the weights of a `.keras` file to a temporary file beside it first.

    Otherwise it holds the whole file in memory if it believes that there is enough. It counts the weights for that, but not the moments,
    which take twice as much.
    """
    with mock.patch.object(saving_lib, "is_memory_sufficient", lambda model: False):
        yield
