"""The training step of one of several workers: the gradient, the loss and the metrics are those of the whole batch."""

from typing import Any

import keras
import tensorflow as tf

from din_trainer.exchange.collectives import Part, Workers
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.lazy_adam import with_unique_rows
from din_trainer.training.split_tables import split_tables
from din_trainer.training.workers.shared_split import PLACES

ROWS = "rows"  # in the logs: rows of all workers in the last batch; 0 when the epoch is over


class SharedStep:
    """What Keras calls instead of the model's `train_step`.

    Each worker computes the loss and gradients of its rows, as their part of the mean over the batch. Then all workers exchange, in one
    message: the gradients of dense weights, which are added; those of the table rows that the batch reads, with the numbers of the rows;
    and the predictions, for the metrics. So all workers make the same update. Nothing that is sent grows with the tables. The gradients of
    split tables have gone to the owners of the rows before, and each worker updates its own rows.

    Args:
        model: A compiled model.
        workers: The workers of the training.
    """

    def __init__(self, model: RankingModel, workers: Workers):
        self._model = model
        self._workers = workers
        self._own = {id(table.embeddings) for table in split_tables(model)}

    def __call__(self, data: Any) -> dict[str, Any]:
        model, workers = self._model, self._workers
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        features = dict(x)
        places = features.pop(PLACES, None)
        rows = workers.gather(tf.shape(y)[0])  # (workers,)
        batch = tf.reduce_sum(rows)
        from_stream = places is None
        if from_stream:
            places = tf.reduce_sum(rows[: workers.index]) + tf.range(rows[workers.index])
        with workers.of_batch(Part(places, batch)), tf.GradientTape() as tape:
            logits = model(features, training=True)
            penalties = tf.add_n(model.losses) if model.losses else 0.0  # of all rows of the tables that the batch reads, not means
            mean = model.compute_loss(x=features, y=y, y_pred=logits, sample_weight=weight) - penalties
            loss = mean * tf.cast(tf.shape(y)[0] / tf.maximum(batch, 1), mean.dtype) + penalties
        gradients = tape.gradient(loss, model.trainable_weights)
        own = [gradient if id(weight) in self._own else None for gradient, weight in zip(gradients, model.trainable_weights, strict=True)]
        others = [None if of_own is not None else gradient for gradient, of_own in zip(gradients, own, strict=True)]
        loss, others, y, logits, weight = self._exchange(loss, others, y, logits, weight)
        gradients = [gradient if of_own is None else of_own for gradient, of_own in zip(others, own, strict=True)]

        def update() -> tf.Tensor:
            model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
            return batch

        batch = tf.cond(batch > 0, update, lambda: batch) if from_stream else update()
        tracker = next(metric for metric in model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=batch)
        metrics: dict[str, Any] = model.compute_metrics(features, y, logits, weight)
        return {**metrics, ROWS: batch} if from_stream else metrics

    def _exchange(self, loss: Any, gradients: list[Any], y: Any, logits: Any, weight: Any) -> tuple[Any, list[Any], Any, Any, Any]:
        """The same of all workers: sums of the loss and of dense gradients, and all rows of the others."""
        sparse = [gradient for gradient in gradients if isinstance(gradient, tf.IndexedSlices)]
        dense = [gradient for gradient in gradients if isinstance(gradient, tf.Tensor)]
        added = tf.concat([tf.reshape(loss, [1]), *(tf.reshape(gradient, [-1]) for gradient in dense)], axis=0)
        of_rows = [y, logits] if weight is None else [y, logits, weight]
        parts = [part for gradient in sparse for part in (gradient.indices, gradient.values)]
        added, *others = self._workers.concatenate([added[None], *of_rows, *parts])
        of_rows, parts = others[: len(of_rows)], others[len(of_rows) :]
        loss, *flat = tf.split(tf.reduce_sum(added, axis=0), [1, *(gradient.shape.num_elements() for gradient in dense)])
        sums = iter([tf.reshape(x, gradient.shape) for x, gradient in zip(flat, dense, strict=True)])
        rows = [tf.IndexedSlices(v, i, s.dense_shape) for i, v, s in zip(parts[::2], parts[1::2], sparse, strict=True)]
        slices = iter([with_unique_rows(of_table) for of_table in rows])  # Keras' Adam would square the terms of a row one by one

        def of_all(gradient: Any) -> Any:
            return next(slices) if isinstance(gradient, tf.IndexedSlices) else next(sums) if isinstance(gradient, tf.Tensor) else None

        y, logits, *weights = of_rows
        return loss[0], [of_all(gradient) for gradient in gradients], y, logits, weights[0] if weights else None
