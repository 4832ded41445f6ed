"""Exports a trained model as a SavedModel for TF Serving, with these signatures:

| signature            | inputs                                                      | outputs                                       |
|----------------------|-------------------------------------------------------------|-----------------------------------------------|
| `serving_default`    | `examples` (B,): serialised tf.Examples                     | `probability` (B,)                            |
| `predict`            | raw features by name: (B, …), of events (B, T, …)           | `probability` (B,)                            |
| `rank`               | as `predict`, but the candidates' features are (B, N, …)    | `probability` (B, N)                          |
| `transform_features` | `examples` (B,): serialised tf.Examples                     | transformed features by name                  |
| `explain`            | `examples` (B,): serialised tf.Examples                     | `probability` (B,), attention, contributions  |

`probability` is that of the first label. With several labels, each further one has a `probability_LABEL` of the same shape.

`rank` looks up and embeds the history of each user once for all N candidates. `explain` gives `contribution_FEATURE` (B,) for each raw
feature and each cross: what it adds to the first label's logit. For each sequence of a DIN it gives `SEQUENCE_attention`: what the
embedding of each event is multiplied by, (B, L) float32: the most recent L events from the left, oldest first, then padding, which is 0.
With a long history, `long_history_attention` (B, `features.long_history_length`) is the same for it: 0 for events that were not chosen.

No signature reads labels or columns that only training uses. −1 or "" in a history is padding, in raw tensors and in tf.Examples. An event
is padding if the first behaviour of its sequence is padding. −1 and "" also stand for a missing categorical value, and for no tag. Numbers
are floats in `predict` and `rank`, and NaN if missing. They are float64 if the feature is int64, since float32 holds only 24 bits of an
integer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.export.contributions import contributions
from din_trainer.export.dimension_names import name_dimensions
from din_trainer.export.fold_dice import fold
from din_trainer.export.stored_weights import StoredWeights
from din_trainer.features import EXAMPLES, LONG_HISTORY
from din_trainer.models.din import DIN
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel
from din_trainer.reading.padded_features import padded_events
from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_reader import Reader
from din_trainer.reading.raw_tensors import raw_tensor_spec

PROBABILITY = "probability"

_EXAMPLES = [tf.TensorSpec([None], tf.string, name=EXAMPLES)]


def _graph(function: Callable[..., Any]) -> Any:
    """A function as a graph. AutoGraph would take a second for it, and finds nothing: no control flow here depends on a tensor."""
    return tf.function(function, autograph=False)


class ServingModel:
    """The graphs that are saved. The embedding tables are variables in them. All other weights are constants, which a server can fold.

    They are stored once, in a function that the graphs of all signatures call.

    Args:
        model: A model with its weights made.
        transform_output: The Transform graph that made its training data.
    """

    def __init__(self, model: RankingModel, transform_output: tft.TFTransformOutput):
        self._model = model
        self._features = model.din_config.features
        self.reader = Reader(self._features, transform_output)
        tables = {id(table.embeddings) for name in self._features.tables for table in model.tables_of(name)}
        self.tables = [weight.value for weight in model.weights if id(weight) in tables]
        self._folded = fold(model.dense_chains())
        of_folded = {id(weight) for layer, _ in self._folded.dice for weight in layer.weights}  # their folded terms take their place
        others = [weight for weight in model.weights if id(weight) not in tables | of_folded]
        self._weights = StoredWeights([(weight, self._folded.weights.get(id(weight), np.array(weight))) for weight in others])

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """While this is open, all weights of the model except the tables are constants, folded where that saves operations."""
        with self._weights.in_graphs(), self._folded.activations():
            yield

    def _probabilities(self, inputs: ModelInputs) -> dict[str, tf.Tensor]:
        """The probability of each label, (B,), or (B · N,) for N candidates an impression."""
        probability = tf.sigmoid(self._model.logits(inputs))
        names = [PROBABILITY, *(f"{PROBABILITY}_{label}" for label in self._features.labels[1:])]
        if len(names) == 1:
            return {PROBABILITY: probability}
        return dict(zip(names, tf.unstack(probability, len(names), axis=1), strict=True))

    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._frozen():
            return self._probabilities(self.reader.of_examples(examples)[0])

    def predict(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._frozen():
            return self._probabilities(self.reader.of_tensors(raw))

    def rank(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        first, *others = [column.name for column in self._features.columns if column.role == "candidate"]
        candidate = raw[first]
        checks = [
            tf.debugging.Assert(
                tf.reduce_all(tf.equal(tf.shape(raw[name])[:2], tf.shape(candidate))),
                [f"{name} needs a value for each candidate of {first}"],
            )
            for name in others  # one of another length would be repeated, or count as missing
        ]
        with tf.control_dependencies(checks), self._frozen():
            probabilities = self._probabilities(self.reader.of_tensors(raw))
        return {name: tf.reshape(x, tf.shape(candidate)) for name, x in probabilities.items()}

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.reader.transformed(tf.io.parse_example(examples, example_spec(self._features)))

    def explain(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs, _ = self.reader.of_examples(examples)
        with self._frozen():
            added = contributions(examples, self.reader, self._features, bool(self._model.sequences), self._first_logit)
            return {**self._probabilities(inputs), **self._attention(inputs, tf.shape(examples, tf.int64)[0]), **added}

    def _first_logit(self, inputs: ModelInputs) -> tf.Tensor:
        logits = self._model.logits(inputs)
        return logits if len(self._features.labels) == 1 else logits[:, 0]

    def _attention(self, inputs: ModelInputs, count: tf.Tensor) -> dict[str, tf.Tensor]:
        found = self._model.attention_weights(inputs) if isinstance(self._model, DIN) else {}
        lengths = {LONG_HISTORY: self._features.longest_history}
        return {
            f"{sequence}_attention": padded_events(x, places, count, lengths.get(sequence, self._features.history_length))
            for sequence, (x, places) in found.items()
        }

    def resources(self) -> tf.Module:
        """The variables and lookup tables that the graphs use, which are saved with them."""
        module = tf.Module()
        module.reader, module.tables = self.reader, self.tables
        return module

    def signatures(self) -> dict[str, Any]:
        """Returns a traced function for each signature."""
        return {
            "serving_default": _graph(self.serving_default).get_concrete_function(*_EXAMPLES),
            "predict": _graph(self.predict).get_concrete_function(**raw_tensor_spec(self._features)),
            "rank": _graph(self.rank).get_concrete_function(**raw_tensor_spec(self._features, candidates=True)),
            "transform_features": _graph(self.transform_features).get_concrete_function(*_EXAMPLES),
            "explain": _graph(self.explain).get_concrete_function(*_EXAMPLES),
        }


def export(model: RankingModel, transform_output: tft.TFTransformOutput, path: str) -> None:
    """Writes the SavedModel.

    Args:
        model: A model with its weights made.
        transform_output: The Transform graph that made its training data.
        path: Folder to write.
    """
    serving = ServingModel(model, transform_output)
    tf.saved_model.save(serving.resources(), path, signatures=serving.signatures())
    name_dimensions(Path(path), model.din_config.features)
