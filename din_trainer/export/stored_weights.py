"""The weights of an exported model as constants that are stored once.

As constants of each graph they would be in the file once for each signature, and once more for each loop in it. As variables they would be
read in each request, which costs a request of one impression more than its arithmetic, and nothing could be computed from them in advance.
So a function without arguments has them, and each graph calls it. TensorFlow replaces the call by the constants when it loads the model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class StoredWeights:
    """Constants that take the place of a model's weights.

    Args:
        values: Weights of a Keras model, and the value that each of them has in the export.
    """

    def __init__(self, values: Sequence[tuple[Any, np.ndarray]]):
        self._places = {id(weight): place for place, (weight, _) in enumerate(values)}
        self._function = tf.function(lambda: [tf.constant(value) for _, value in values], autograph=False)

    @contextmanager
    def in_graphs(self) -> Iterator[None]:
        """While this is open, the graphs that are traced, their loops included, have the constants in place of the weights."""
        with _Constants(self._places, self._function):
            yield


class _Constants(keras.StatelessScope):
    """Answers Keras, which asks for the value of a weight, with the tensor of the graph that is traced at that moment.

    A tensor of the graph around a loop would not do: the loop would carry it from step to step, and TensorFlow would no longer know it to
    be constant.
    """

    def __init__(self, places: dict[int, int], function: Any):
        super().__init__()
        self._places, self._function = places, function
        self._by_graph: dict[int, tuple[Any, Any]] = {}  # the graph is kept, so that no other one gets its id

    def get_current_value(self, variable: Any) -> Any:
        place = self._places.get(id(variable))
        if place is None:
            return super().get_current_value(variable)
        graph = tf.compat.v1.get_default_graph()
        if id(graph) not in self._by_graph:
            self._by_graph[id(graph)] = graph, self._function()
        return self._by_graph[id(graph)][1][place]
