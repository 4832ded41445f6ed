"""A digest of what a SavedModel answers, so that the same weights are not pushed twice."""

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from components.base.pins import read_meta_graph
from components.serving.store.versions import WARM_UP_FILE


def model_digest(saved_model: Path) -> str:
    """SHA-256 over a SavedModel's weights, assets (extra ones too) and signatures: what it answers, not when it was written.

    Weights are variables, or floats that the graph holds as constants, in single precision: the last bits of Transform's doubles depend on
    the order in which Beam adds up. They enter in the order of their contents, because they are numbered and named anew in each export.
    Else the graph does not enter, for the same reason: whoever trains writes what it follows from into `assets.extra/`. Warm-up requests,
    which lie there too, change no answer.
    """
    import tensorflow as tf

    digest = hashlib.sha256()
    checkpoint = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    names = [name for name in checkpoint.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    meta_graph = read_meta_graph(saved_model)
    variables = sorted(_tensor_digest(checkpoint.get_tensor(name)) for name in names)
    constants = sorted({_tensor_digest(tf.make_ndarray(tensor).astype("float32")) for tensor in _float_constants(meta_graph.graph_def)})
    for weight in (*variables, *constants):
        digest.update(weight)
    for asset in sorted({*saved_model.glob("assets/*"), *saved_model.glob("assets.extra/*")} - {saved_model / WARM_UP_FILE}):
        digest.update(asset.name.encode())
        digest.update(asset.read_bytes())
    for name, signature in sorted(meta_graph.signature_def.items()):
        tensors = [sorted((key, info.dtype) for key, info in side.items()) for side in (signature.inputs, signature.outputs)]
        digest.update(f"{name} {tensors}".encode())
    return digest.hexdigest()


def _float_constants(graph: Any) -> Iterator[Any]:
    """The TensorProtos of a GraphDef's constants that are numbers and no counts, its functions' included."""
    from tensorflow.core.framework.types_pb2 import DT_DOUBLE, DT_FLOAT

    for node in chain(graph.node, *(function.node_def for function in graph.library.function)):
        if node.op == "Const" and node.attr["dtype"].type in (DT_FLOAT, DT_DOUBLE):
            yield node.attr["value"].tensor


def _tensor_digest(tensor: Any) -> bytes:
    return hashlib.sha256(f"{tensor.shape} {tensor.dtype}".encode() + tensor.tobytes()).digest()
