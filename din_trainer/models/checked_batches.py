"""What `fit`, `evaluate` and `predict` of a model take, checked: columns at once and before anything else, a data set batch by batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from din_trainer.features import LABEL
from din_trainer.models.checked_data import Input, check_features, check_weights
from din_trainer.models.checked_labels import check_each_label


def check_batch(
    inputs: list[Input],
    features: Any,
    labels: Any = None,
    weights: Any = None,
    *,
    names: tuple[str, ...] = (LABEL,),
    said: set[str] | None = None,
    training: bool = False,
) -> tuple[Any, ...]:
    """Reads features, and labels and weights if there are any. `names` are those of the labels, the rest is as in `check_features`.

    Returns:
        (features,), (features, labels) or (features, labels, weights).

    Raises:
        ValueError: As `check_features`, `check_each_label` and `check_weights`.
    """
    arrays = check_features(features, inputs, said, training)
    rows = len(next(iter(arrays.values())))
    judged = [] if labels is None else [check_each_label(labels, rows, names)]
    return (arrays, *judged) if weights is None else (arrays, *judged, check_weights(weights, rows))


class CheckedDataset:
    """A data set of batches, each of which is checked when it is read.

    Args:
        dataset: Batches of features; or of (features, labels), or (features, labels, weights).
        inputs: The columns that the model reads.
        judged: Whether labels are needed; otherwise they are left out.
        names: The names of the labels.
        training: Whether to read the columns that only training reads.

    Attributes:
        batches: The data set of checked batches.
    """

    def __init__(
        self, dataset: tf.data.Dataset, inputs: list[Input], judged: bool, names: tuple[str, ...] = (LABEL,), training: bool = False
    ):
        self._dataset = dataset
        self._inputs = inputs
        self._error: ValueError | None = None
        self._said: set[str] = set()
        self._judged = judged
        self._names = names
        self._training = training
        parts = len(dataset.element_spec) if isinstance(dataset.element_spec, tuple) and judged else 1
        if judged and parts == 1:
            raise ValueError("the data set has no labels: its elements must be (features, labels) or (features, labels, weights)")
        features = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else dataset.element_spec
        if any(tensor.shape.rank == 0 for tensor in tf.nest.flatten(features)):
            raise ValueError("the elements of the data set are single rows: make batches of them with .batch(256)")
        one_a_row = tf.TensorSpec([None], tf.float32)
        labels = one_a_row if len(names) == 1 else tf.TensorSpec([None, len(names)], tf.float32)
        spec = (
            {column.name: column.spec() for column in inputs if training or not column.only_training},
            *[labels, one_a_row][: parts - 1],
        )
        checked = tf.data.Dataset.from_generator(self._read, output_signature=spec).prefetch(tf.data.AUTOTUNE)
        count = dataset.cardinality()
        self.batches = checked if count <= 0 else checked.apply(tf.data.experimental.assert_cardinality(count))

    def _read(self) -> Iterator[tuple[Any, ...]]:
        number = -1
        for number, batch in enumerate(self._dataset):
            try:
                features, *rest = batch if isinstance(batch, tuple) else (batch,)
                judged = rest if self._judged else ()
                yield check_batch(self._inputs, features, *judged, names=self._names, said=self._said, training=self._training)
            except ValueError as error:
                self._error = ValueError(f"batch {number}: {error}")
                raise
        if number < 0:
            self._error = ValueError("the data set has no batches")
            raise self._error

    @contextmanager
    def one_sentence(self) -> Iterator[None]:
        """While this is open, what TensorFlow raises about a wrong batch is raised as the sentence about it alone."""
        try:
            yield
        except tf.errors.OpError:
            if self._error is None:
                raise
            raise self._error from None
