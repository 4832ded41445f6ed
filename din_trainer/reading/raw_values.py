"""Raw values without padding: what tf.Examples and raw tensors are brought to, so that all that follows is the same for both.

B impressions, N candidates an impression, E events of a sequence that are kept, of all impressions together.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from din_trainer.kinds import DType

DTYPES: dict[DType, tf.DType] = {"int64": tf.int64, "bytes": tf.string, "float": tf.float32}


class RawTags(NamedTuple):
    """The tags of a feature that are read, one after the other, without missing ones.

    Attributes:
        values: (V,).
        slots: The impression, candidate (b · N + n) or event that each belongs to: (V,) int64, ascending.
        weights: (V,) float32; None if each is 1.
    """

    values: Any
    slots: Any
    weights: Any


class RawValues(NamedTuple):
    """The raw features of a batch.

    Attributes:
        values: By raw name: (B,), candidates' (B,) or (B, N), events' (E,); vectors have one more dimension. Missing values are −1, "", or
            NaN for numbers and vectors. Numbers are float32, or float64 if they are int64 in the data.
        tags: By raw name.
        rows: The impression of each event, by sequence: (E,) int64, ascending.
    """

    values: dict[str, Any]
    tags: dict[str, RawTags]
    rows: dict[str, Any]
