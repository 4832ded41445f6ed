"""What the client needs from a connection to a model server, whatever the protocol."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from components.serving.model.impression_tensors import Tensors

RETRY_SECONDS = 0.1  # the pause before the first retry; it doubles each time
MAX_ANSWER_BYTES = 64 << 20  # a larger answer is refused


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        dtype: Its type, such as `DT_INT64`.
        shape: −1 for an unknown size.
        names: Of its dimensions, which `din_trainer.export.dimension_names` gives; "" for one without a name.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()


class Signature(NamedTuple):
    """A signature of the served version: its inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Connection(ABC):
    """A served model that is asked over one protocol. Threads may share it."""

    @abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """Returns the signatures of the served version by name.

        Raises:
            ServingError: The server gave no usable answer.
        """

    @abstractmethod
    def run(
        self, signature: str, tensors: Tensors, outputs: Sequence[str], shape: tuple[int, ...], request_id: bytes = b""
    ) -> dict[str, np.ndarray]:
        """Returns the probabilities that a signature gives, by output: float32 of this shape.

        Args:
            signature: The name of the signature.
            tensors: Its inputs.
            outputs: The names of its outputs that are wanted.
            shape: That of each of them.
            request_id: Goes with a gRPC request, into the server's log of requests. REST has no place for it.

        Raises:
            ServingError: The server gave no usable answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the connection."""


def one_line(text: object) -> str:
    """Returns a message as one line of at most 500 characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= 500 else line[:500] + "…"
