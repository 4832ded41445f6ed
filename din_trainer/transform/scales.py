"""The statistics by which numbers are scaled and put into buckets: those of the training data, or those of a start model.

A warm start keeps the statistics of its start model: the weights that read a number have learnt it on that scale, so that known impressions
keep their scores to the last bit.

| of                                | statistics                                                         |
|-----------------------------------|--------------------------------------------------------------------|
| `zscore`, `log`, time gaps        | `mean` and `variance`                                              |
| `minmax`                          | `low` and `high`                                                   |
| `quantile`, buckets by quantiles  | `quantiles`: the inner ones, with an error that is at most 1/10 of |
|                                   | the share of a bucket, or 1/10 000 of all numbers                  |
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import FeatureConfig, gap_name
from din_trainer.kinds import Bucketized, Numeric, TimeGap
from din_trainer.transform.numbers import RANKS

Statistics = dict[str, Any]  # by name: a number, or a list of numbers
_NAMES = ("mean", "variance", "low", "high", "quantiles")
_OLD_PLACES = {"mean": ("sub", 1), "variance": ("Sqrt", 0)}  # in graphs of tft.scale_to_z_score: operation and number of its input
_SMALLEST_ERROR = 1e-4  # of quantiles


def _operation(name: str, statistic: str) -> str:
    """The name of the operation through which a statistic goes, so that `read_scales` finds it."""
    return f"scale_{name}/{statistic}"


def quantiles_of(feature: Any) -> int:
    """Into how many parts the quantiles of a feature divide its numbers; 0 if it needs none."""
    if isinstance(feature, Bucketized):
        return feature.buckets
    return RANKS if isinstance(feature, Numeric) and feature.scale == "quantile" else 0


def scaled_names(features: FeatureConfig) -> list[str]:
    """The names after Transform of all numbers that have statistics."""
    scaled = [p for p in features.placed if isinstance(p.feature, Numeric | TimeGap) or quantiles_of(p.feature)]
    return [gap_name(p.name) if isinstance(p.feature, TimeGap) else p.name for p in scaled]


def measure(x: tf.Tensor, name: str, feature: Any, given: Mapping[str, Any] | None) -> Statistics:
    """Finds the statistics of a number.

    Args:
        x: The numbers (S,), as they are scaled; NaN is missing.
        name: Its name after Transform, by which `read_scales` finds the statistics again.
        feature: Its definition.
        given: The statistics of a start model. Those of the training data are taken if there are none, or if the feature needs others.
    """
    known = tf.boolean_mask(x, tf.logical_not(tf.math.is_nan(x)))
    parts = quantiles_of(feature)
    needed: dict[str, Callable[[], tf.Tensor]]
    if parts:
        needed = {"quantiles": lambda: tft.quantiles(known, parts, max(0.1 / parts, _SMALLEST_ERROR))}  # (1, parts - 1)
    elif isinstance(feature, Numeric) and feature.scale == "minmax":
        needed = {"low": lambda: tft.min(known), "high": lambda: tft.max(known)}
    else:
        needed = {"mean": lambda: tft.mean(known), "variance": lambda: tft.var(known)}
    if given and given.keys() == needed.keys() and (not parts or len(given["quantiles"]) == parts - 1):
        values = {statistic: tf.constant(value, tf.float64) for statistic, value in given.items()}
    else:
        values = {statistic: analyse() for statistic, analyse in needed.items()}
    named = {statistic: tf.identity(value, _operation(name, statistic)) for statistic, value in values.items()}
    return {statistic: tf.reshape(value, [-1]) if parts else value for statistic, value in named.items()}


def read_statistics(transform_graph: Path, names: list[str]) -> dict[str, Statistics]:
    """Reads the statistics by which a Transform graph scales numbers and puts them into buckets.

    Args:
        transform_graph: The output of Transform.
        names: Of the numbers after Transform; one without statistics in the graph is left out.
    """
    loaded = tf.saved_model.load(str(transform_graph / "transform_fn"))  # kept, since its function reads its tables
    function = loaded.transform_fn
    captures = zip(reversed(function.inputs), reversed(function.captured_inputs), strict=False)
    captured = {placeholder.name: value.numpy() for placeholder, value in captures if value.dtype.is_floating}
    operations = {operation.name: operation for operation in function.graph.get_operations()}
    session = tf.compat.v1.Session(graph=function.graph)  # since a lowest number is no constant: it is computed from the negative one

    def value(operation: str, position: int) -> Any:
        array = np.asarray(session.run(operations[operation].inputs[position], captured), np.float64)
        return array.ravel().tolist() if array.ndim else float(array)

    found: dict[str, Statistics] = {}
    for name in names:
        places = {statistic: (_operation(name, statistic), 0) for statistic in _NAMES}
        old = {statistic: (_operation(name, operation), position) for statistic, (operation, position) in _OLD_PLACES.items()}
        places = places if any(operation in operations for operation, _ in places.values()) else old
        found[name] = {statistic: value(*place) for statistic, place in places.items() if place[0] in operations}
    return {name: statistics for name, statistics in found.items() if statistics}


def read_scales(transform_graph: Path, names: list[str]) -> dict[str, Statistics]:
    """Reads the statistics that a warm start keeps, as `read_statistics` does. Those of a number that was constant are not kept."""
    return {name: statistics for name, statistics in read_statistics(transform_graph, names).items() if _varies(statistics)}


def _varies(statistics: Statistics) -> bool:
    if "mean" in statistics:
        return bool(statistics["variance"] > 0)
    if "low" in statistics:
        return bool(statistics["low"] < statistics["high"])
    quantiles = statistics["quantiles"]
    return len(quantiles) == 1 or quantiles[0] < quantiles[-1]
