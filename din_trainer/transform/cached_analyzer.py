"""An analyzer of TFT that has one accumulator for each data set, which TFX Transform's analyzer cache keeps, and several files as output.

TFT's own `CacheablePTransformAnalyzer` has as many accumulators as outputs, and TFT caches only analyzers with one. The nodes below are the
same as those that it makes, with one accumulator and any number of files. They are private to TFT: after an upgrade, look here first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, annotators, nodes

_NO_CONTENT = b"-1"  # of a file while TFT traces the graph, before the values are known


class Stages(NamedTuple):
    """The three parts of an analysis.

    Attributes:
        make: Batches of values, each a tuple with one array -> one accumulator.
        merge: Accumulators -> one accumulator, whatever their order.
        write: Transform of one accumulator -> the paths of the files, as a tuple of collections with one element each.
        coder: Turns an accumulator into bytes and back.
    """

    make: beam.CombineFn
    merge: beam.CombineFn
    write: beam.PTransform
    coder: analyzer_nodes.CacheCoder


class _Combine(beam.PTransform):
    """Combines a collection to one element. Its text, a part of the key in the cache, is always the same, unlike that of Beam's."""

    def __init__(self, combine: beam.CombineFn):
        super().__init__()
        self._combine = combine

    def expand(self, collection: Any) -> Any:
        return collection | beam.CombineGlobally(self._combine)

    def __repr__(self) -> str:
        return f"combined by {type(self._combine).__name__}"


def analyse_to_files(values: tf.Tensor, stages: Stages, files: Sequence[str], name: str) -> list[tf.Tensor]:
    """Analyses the training data, and makes each file an asset of the Transform graph.

    Args:
        values: What is analysed.
        stages: How.
        files: The names of the files that `stages.write` gives, in its order.
        name: Of the analyzer. With the graph that computes `values`, it is the key of the cached accumulators.

    Returns:
        The paths of the files.
    """
    accumulator = [analyzer_nodes.TensorInfo(tf.string, [], None)]
    content = analyzer_nodes.TemporaryAssetInfo(_NO_CONTENT, "text")
    written = [analyzer_nodes.TensorInfo(tf.string, [], content) for _ in files]
    with tf.compat.v1.name_scope(name):
        found = analyzer_nodes.get_input_tensors_value_nodes((values,))
        made = _node("make", _Combine(stages.make), found, accumulator, True)
        cached = _node("merge_data_set", _Combine(stages.merge), made[0], accumulator, True, stages.coder)
        merged = _node("merge", _Combine(stages.merge), cached[0], accumulator, False)
        paths = [analyzer_nodes.wrap_as_tensor(path) for path in _node("write", stages.write, merged[0], written, False)]
    for file in files:
        annotators.annotate_asset(file, file)
    return paths


def _node(
    scope: str, transform: Any, inputs: Any, outputs: list[analyzer_nodes.TensorInfo], by_data_set: bool, coder: Any = None
) -> tuple[Any, ...]:
    with tf.compat.v1.name_scope(scope):
        return nodes.apply_multi_output_operation(
            analyzer_nodes.PTransform,
            inputs,
            ptransform=transform,
            output_tensor_info_list=outputs,
            is_partitionable=by_data_set,
            cache_coder=coder,
        )
