"""A digest of what a SavedModel answers, and the file that records it beside a version: the same weights are not pushed twice."""

import hashlib
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from components.base.atomic_files import write_durably
from components.base.tfx_pins import read_meta_graph
from components.serving.store.versions import WARM_UP_FILE

DIGEST_FILE = "model_digest"  # in the folder of a version, where TF Serving ignores it
_FORMAT = "din-model-digest-1"  # its number goes up when `model_digest` changes: recorded digests then count as missing


def read_digest(version: Path) -> str | None:
    """Returns the digest that is recorded in the folder of a version; None if there is none that can be read."""
    try:
        recorded = re.fullmatch(rf"{_FORMAT} ([0-9a-f]{{64}})\n", (version / DIGEST_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return recorded[1] if recorded else None


def write_digest(version: Path, digest: str) -> None:
    """Records the digest of a version in its folder, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_durably(version / DIGEST_FILE, f"{_FORMAT} {digest}\n")


def model_digest(saved_model: Path) -> str:
    """Returns the SHA-256 over a SavedModel's weights, assets (those of `assets.extra/` too) and signatures: over what decides its answers.

    Weights are the variables, and the floats that the graph holds as constants. Constants enter in single precision, since the last bits
    of Transform's doubles depend on the order in which Beam adds. Weights enter sorted by content, since each export numbers and names them
    anew. For the same reason the rest of the graph does not enter: the trainer writes the configuration and the source fingerprint that the
    graph follows from into `assets.extra/`. The warm-up requests, which lie there too, do not enter, since they change no answer.
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
    """Yields the TensorProtos of the floating-point constants of a GraphDef and of its functions."""
    from tensorflow.core.framework.types_pb2 import DT_DOUBLE, DT_FLOAT

    for node in chain(graph.node, *(function.node_def for function in graph.library.function)):
        if node.op == "Const" and node.attr["dtype"].type in (DT_FLOAT, DT_DOUBLE):
            yield node.attr["value"].tensor


def _tensor_digest(tensor: Any) -> bytes:
    return hashlib.sha256(f"{tensor.shape} {tensor.dtype}".encode() + tensor.tobytes()).digest()
