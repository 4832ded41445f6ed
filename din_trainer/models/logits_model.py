"""A Keras model that gives logits when it is called, and probabilities from `predict`. It checks what `fit` and the others are given.

The loss reads logits; `predict`, `export` and all metrics have probabilities.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from din_trainer.features import LABEL
from din_trainer.models.binned_auc import BinnedAUC
from din_trainer.models.checked_batches import CheckedDataset, check_batch
from din_trainer.models.checked_data import Input, check_features

_LOG_LOSS = ("binary_crossentropy", "BinaryCrossentropy", "bce", "BCE")


class LogitsModel(keras.Model):
    """Keras' `Model` with one logit for each row, (B,), or one for each of several labels, (B, labels).

    A subclass names the columns that it reads. Data are checked before a graph gets them: columns at once, a `tf.data.Dataset` batch by
    batch. Nothing is checked inside a graph. Keras' metrics are those of the first label; `auc_LABEL` is the AUC of each further one.

    Args:
        labels: The names of the labels.
    """

    def __init__(self, labels: tuple[str, ...] = (LABEL,), **kwargs: Any):
        super().__init__(**kwargs)
        self.labels = tuple(labels)
        self.further_aucs = [BinnedAUC(name=f"auc_{label}") for label in labels[1:]]
        self.supports_jit = False  # XLA is several times slower than the plain graph on CPU, and has no look-ups of text

    def columns_read(self) -> list[Input]:
        """The columns that the model reads."""
        raise NotImplementedError

    def log_loss(self) -> keras.losses.Loss:
        """The log loss, reading logits."""
        return keras.losses.BinaryCrossentropy(from_logits=True)

    def prepare_fit(self, features: dict[str, Any] | None, weighted: bool) -> None:
        """Called before training.

        Args:
            features: The checked columns; None if they come from a data set.
            weighted: Whether there are weights.
        """

    def __call__(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        symbolic = isinstance(features, Mapping) and any(isinstance(x, keras.KerasTensor) for x in features.values())
        if tf.executing_eagerly() and not symbolic:
            features = check_features(features, self.columns_read(), training=kwargs.get("training", bool(args and args[0])))
        return super().__call__(features, *args, **kwargs)

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, validation_data: Any = None, sample_weight: Any = None, **kwargs: Any
    ) -> keras.callbacks.History:
        """As Keras' `fit`, on columns or on a `tf.data.Dataset` of batches.

        Raises:
            ValueError: The data are not what the model reads; the sentence names the feature.
        """
        with ExitStack() as stack:
            x, y, weights = self._checked(stack, x, y, sample_weight, training=True)
            is_dataset = isinstance(x, tf.data.Dataset)
            self.prepare_fit(None if is_dataset else x, len(x.element_spec) == 3 if is_dataset else weights is not None)
            if validation_data is not None:
                parts = validation_data if isinstance(validation_data, tuple | list) else (validation_data, None, None)
                validation_data = self._checked(stack, *parts, *[None] * (3 - len(parts)))
                if isinstance(validation_data[0], tf.data.Dataset):
                    validation_data = validation_data[0]
            return super().fit(x, y, *args, validation_data=validation_data, sample_weight=weights, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """As Keras' `evaluate`. It raises what `fit` raises."""
        if kwargs.get("_use_cached_eval_dataset"):  # validation within `fit`, which has checked it
            return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)
        with ExitStack() as stack:
            x, y, weights = self._checked(stack, x, y, sample_weight)
            return super().evaluate(x, y, *args, sample_weight=weights, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """The click probability of each row: (N,), or (N, labels). Otherwise as Keras' `predict`. It raises what `fit` raises."""
        with ExitStack() as stack:
            x, _, _ = self._checked(stack, x, None, None, judged=False)
            return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            return super().train_on_batch(*self._checked(stack, x, y, sample_weight, training=True), **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            return super().test_on_batch(*self._checked(stack, x, y, sample_weight), **kwargs)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        return super().predict_on_batch(check_features(x, self.columns_read()))

    def _checked(self, stack: ExitStack, x: Any, y: Any, weights: Any, judged: bool = True, training: bool = False) -> tuple[Any, Any, Any]:
        """Checks features, labels and weights. While `stack` is open, what is wrong in a data set is raised as one sentence."""
        if isinstance(x, tf.data.Dataset):
            checked = CheckedDataset(x, self.columns_read(), judged, self.labels, training)
            stack.enter_context(checked.one_sentence())
            return checked.batches, y, weights
        x, *rest = check_batch(self.columns_read(), x, y, weights, names=self.labels, training=training)
        if judged and y is None:
            raise ValueError("there are no labels: give them as y")
        return (x, *rest, *[None] * (2 - len(rest)))

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, metrics: Any = None, **kwargs: Any) -> None:
        """As Keras' `compile`. A loss of Keras reads logits and a metric probabilities, whatever their `from_logits` says.

        Raises:
            ValueError: A loss of Keras that cannot read logits; or with several labels, one that cannot weigh them.
        """
        metrics = keras.tree.map_structure(_of_probabilities, metrics)
        super().compile(optimizer, self._of_logits(loss), *args, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Keras calls it when it loads a model; its own does nothing for a class with a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def _of_logits(self, loss: Any) -> Any:
        """The same loss, reading logits. A function of the user's own gets logits too."""
        if loss in _LOG_LOSS or loss is keras.losses.binary_crossentropy:
            return self.log_loss()
        if isinstance(loss, keras.losses.Loss) and "from_logits" in loss.get_config():
            if len(self.labels) > 1:
                raise ValueError(f"the loss {loss.name} cannot weigh labels: use 'binary_crossentropy', or a function (labels, logits)")
            return type(loss).from_config({**loss.get_config(), "from_logits": True})
        if isinstance(loss, str) or getattr(loss, "__module__", "").startswith("keras."):
            raise ValueError(f"the loss {loss} does not read logits: use 'binary_crossentropy', or a function of your own (labels, logits)")
        return loss

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True) -> Any:
        """The loss of (B, 1) or (B, labels). Keras would take (B,) for one row of B outputs, and weigh their mean, not each of them."""
        return super().compute_loss(x, _as_rows(y), _as_rows(y_pred), sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """The metrics of probabilities (B, 1), for the same reason: those of the first label, and the AUC of each further one."""
        y, p = _as_rows(y), _as_rows(ops.sigmoid(y_pred))
        for number, auc in enumerate(self.further_aucs, 1):
            auc.update_state(y[:, number], p[:, number], sample_weight=sample_weight)
        return super().compute_metrics(x, y[:, :1], p[:, :1], sample_weight)

    def predict_step(self, data: Any) -> Any:
        return ops.sigmoid(super().predict_step(data))

    def export(self, filepath: str | Path, **kwargs: Any) -> None:
        """Writes a SavedModel. Its signature `serve` takes the columns that `predict` takes, as tensors, and gives what `predict` gives.

        Args:
            filepath: The folder.
            **kwargs: Of Keras' `export`; only `verbose` and the default `format` are possible.

        Raises:
            ValueError: The model has not been trained.
        """
        others = sorted(set(kwargs) - {"verbose", "format"})
        if others or kwargs.get("format", "tf_saved_model") != "tf_saved_model":
            raise ValueError(f"export writes a SavedModel, and takes no {others[0] if others else 'other format'}")
        if not any(np.any(weight) for weight in self.trainable_weights if weight.path.endswith("bias")):
            raise ValueError("the model has not been trained: its biases are 0, where they start; call fit, or load weights, before export")
        archive = keras.export.ExportArchive()
        archive.track(self)
        signature = {column.name: column.spec() for column in self.columns_read() if not column.only_training}
        archive.add_endpoint("serve", lambda features: ops.sigmoid(self(features, training=False)), input_signature=[signature])
        archive.write_out(filepath, verbose=kwargs.get("verbose", False))


def _as_rows(values: Any) -> Any:
    return values if len(values.shape) == 2 else ops.reshape(values, (-1, 1))


def _of_probabilities(metric: Any) -> Any:
    """The same metric, reading probabilities."""
    if isinstance(metric, keras.metrics.Metric) and metric.get_config().get("from_logits"):
        return type(metric).from_config({**metric.get_config(), "from_logits": False})
    return metric
