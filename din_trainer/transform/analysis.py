"""What Transform learns from the training data, vocabularies and statistics of numbers, with what a warm start keeps of its start model."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import COUNTS_KEY, START_KEY
from din_trainer.kinds import Vocabulary
from din_trainer.transform import vocabularies
from din_trainer.transform.scales import Statistics, measure
from din_trainer.transform.start_values import StartValues


def counts_name(vocabulary: str) -> str:
    """The Transform asset with the counts of a vocabulary: one line `count value` for each value, in the order of the ids."""
    return f"{vocabulary}_counts"


class Ids(Protocol):
    """A vocabulary."""

    def ids(self, values: tf.Tensor) -> tf.Tensor:
        """Looks up the ids of values, from 1, in their shape."""


class Learnt(Protocol):
    """What the arithmetic of the kinds needs to know of the training data."""

    def vocabulary(self, values: tf.Tensor, name: str, vocabulary: Vocabulary, missing: Any) -> Ids:
        """The vocabulary of values (V,). A missing value has no id of its own."""

    def statistics(self, x: tf.Tensor, name: str, feature: Any) -> Mapping[str, Any]:
        """The statistics that a number (S,) needs, NaN where it is missing."""


class KnownValues(NamedTuple):
    """A vocabulary that was made of the training data.

    Attributes:
        file: Its file.
        oov_buckets: How many ids all other values share.
    """

    file: Any
    oov_buckets: int

    def ids(self, values: tf.Tensor) -> tf.Tensor:
        """Looks up the ids of values, from 1, in their shape."""
        return tft.apply_vocabulary(values, self.file, num_oov_buckets=self.oov_buckets) + 1


class Analysis(NamedTuple):
    """How the training data is analysed.

    Attributes:
        with_counts: Whether to write the counts of the vocabularies.
        start: The vocabularies of the start model; None without a warm start.
        scales: The statistics of the start model, by number.
    """

    with_counts: bool
    start: StartValues | None
    scales: Mapping[str, Statistics]

    @classmethod
    def of(cls, custom_config: Mapping[str, Any]) -> "Analysis":
        """Reads the settings of `preprocessing_fn`."""
        start = custom_config.get(START_KEY)
        if not start:
            return cls(custom_config[COUNTS_KEY], None, {})
        return cls(custom_config[COUNTS_KEY], StartValues(**start["values"]), start["scales"])

    def vocabulary(self, values: tf.Tensor, name: str, vocabulary: Vocabulary, missing: Any) -> KnownValues:
        """Counts values (V,), and makes a vocabulary of them. A missing value has no id of its own."""
        known = tf.boolean_mask(values, tf.not_equal(values, missing))
        counts = counts_name(name) if self.with_counts else None
        file = vocabularies.vocabulary(known, name, vocabulary.min_count, counts, self.start)
        return KnownValues(file, vocabulary.oov_buckets)

    def statistics(self, x: tf.Tensor, name: str, feature: Any) -> Statistics:
        """The statistics that a number (S,) needs, NaN where it is missing."""
        return measure(x, name, feature, self.scales.get(name))
