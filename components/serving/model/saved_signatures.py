"""Reads the signatures of a SavedModel without loading its graph."""

from pathlib import Path
from typing import Any, NamedTuple

from components.base.tfx_pins import read_meta_graph
from components.serving.model.model_errors import LoadError, one_line


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        name: The name in the graph, as `operation:0`.
        dtype: TensorFlow's name of the type, such as int64 or string.
        shape: None for a dimension of any size; None altogether if the rank is open too.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    """The inputs and outputs of a signature, by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def read_signatures(saved_model: Path) -> dict[str, Signature]:
    """Returns the signatures of a SavedModel by name, without its initialiser.

    Raises:
        LoadError: There is no saved_model.pb, or it cannot be read.
    """
    from google.protobuf.message import DecodeError

    try:
        definitions = read_meta_graph(saved_model).signature_def
    except (OSError, RuntimeError, ValueError, TypeError, DecodeError) as error:
        raise LoadError(0, one_line(str(error))) from error
    return {
        name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
        for name, definition in sorted(definitions.items())
        if not name.startswith("__")
    }


def _tensors(infos: Any) -> dict[str, Tensor]:
    import tensorflow as tf

    return {
        key: Tensor(
            info.name,
            tf.as_dtype(info.dtype).name,
            None if info.tensor_shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim),
        )
        for key, info in sorted(infos.items())
    }
