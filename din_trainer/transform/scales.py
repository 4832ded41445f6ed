"""Scales numbers to mean 0 and deviation 1, by the statistics of the training data or by those of a start model.

A warm start keeps the means and deviations of its start model: the weights that read a number have learnt it on that scale, so that known
impressions keep their scores to the last bit.
"""

from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
import tensorflow_transform as tft


class Scale(NamedTuple):
    """The mean and the variance of a number, in double precision."""

    mean: float
    variance: float


def _scope(name: str) -> str:
    return f"scale_{name}"


def scale(x: tf.SparseTensor, name: str, given: Scale | None) -> tf.SparseTensor:
    """Scales numbers.

    Args:
        x: float64.
        name: Of the number, by which `read_scales` finds its statistics again.
        given: The statistics; None takes those of the training data.
    """
    if given is None:
        return tft.scale_to_z_score(x, name=_scope(name))
    with tf.name_scope(_scope(name)):  # the names of the operations are those of TFT, for `read_scales`
        mean, variance = tf.constant(given.mean, tf.float64), tf.constant(given.variance, tf.float64)
        return tf.sparse.map_values(lambda values: tf.divide(tf.subtract(values, mean, name="sub"), tf.sqrt(variance, name="Sqrt")), x)


def read_scales(transform_graph: Path, names: list[str]) -> dict[str, Scale]:
    """Reads the statistics by which a Transform graph scales numbers. One that was constant, with variance 0, has no scale.

    Args:
        transform_graph: The output of Transform.
        names: Of the numbers; one that the graph does not scale is left out.
    """
    loaded = tf.saved_model.load(str(transform_graph / "transform_fn"))  # kept, since its function reads its tables
    function = loaded.transform_fn
    captured = {t.name: value for t, value in zip(reversed(function.inputs), reversed(function.captured_inputs), strict=False)}
    operations = {operation.name: operation for operation in function.graph.get_operations()}

    def number(operation: str, position: int) -> float:
        tensor = operations[operation].inputs[position]
        constant = captured[tensor.name] if tensor.name in captured else tf.get_static_value(tensor)
        return float(constant)

    found = {
        name: Scale(number(f"{_scope(name)}/sub", 1), number(f"{_scope(name)}/Sqrt", 0))
        for name in names
        if f"{_scope(name)}/sub" in operations
    }
    return {name: statistics for name, statistics in found.items() if statistics.variance > 0}
