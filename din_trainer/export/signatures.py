"""Exports a trained model as a SavedModel for TF Serving, with these signatures:

| signature            | inputs                                                      | outputs                                       |
|----------------------|-------------------------------------------------------------|-----------------------------------------------|
| `serving_default`    | `examples` (B,): serialised tf.Examples                     | `probability` (B,)                            |
| `predict`            | raw features by name: (B,), histories (B, T)                | `probability` (B,)                            |
| `rank`               | as `predict`, but the candidates' features are (B, N)       | `probability` (B, N)                          |
| `transform_features` | `examples` (B,): serialised tf.Examples                     | transformed features by name                  |
| `explain`            | `examples` (B,): serialised tf.Examples                     | `probability` (B,), `<sequence>_attention`    |

`rank` looks up and embeds the history of each user once for all N candidates. `explain` exists only for a DIN with histories. For each
sequence it gives what the embedding of each event is multiplied by, (B, L) float32: the most recent L events from the left, oldest first,
then padding, which is 0.

No signature reads labels or columns that only training uses. −1 or "" in a history is padding, in raw tensors and in tf.Examples. An event
is padding if the first behaviour of its sequence is padding. −1 and "" also stand for a missing categorical value. Numbers are floats in
`predict` and `rank`, and NaN if missing. They are float64 if the feature is int64, since float32 holds only 24 bits of an integer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.export.fold_dice import fold
from din_trainer.features import EXAMPLES, FeatureConfig
from din_trainer.models.din import DIN
from din_trainer.models.model_inputs import ModelInputs
from din_trainer.models.ranking_model import RankingModel
from din_trainer.reading.raw_reader import DTYPES, Reader, example_spec, is_number

PROBABILITY = "probability"

_EXAMPLES = [tf.TensorSpec([None], tf.string, name=EXAMPLES)]
_NUMBER = {"int64": tf.float64, "float": tf.float32}


def raw_tensor_spec(features: FeatureConfig, candidates: bool = False) -> dict[str, tf.TensorSpec]:
    """Inputs of `predict`, or of `rank` with `candidates`: features (B,), histories (B, T), candidate features of `rank` (B, N)."""
    spec = {}
    for column in features.columns:
        two = column.presence == "sequence" or (candidates and column.role == "candidate")
        dtype = _NUMBER[column.dtype] if is_number(column, features) else DTYPES[column.dtype]
        spec[column.name] = tf.TensorSpec([None, None] if two else [None], dtype, name=column.name)
    return spec


def _graph(function: Callable[..., Any]) -> Any:
    """A function as a graph. AutoGraph would take a second for it, and finds nothing: no control flow here depends on a tensor."""
    return tf.function(function, autograph=False)


class ServingModel:
    """The graphs that are saved. The embedding tables are variables in them. All other weights are constants, which a server can fold.

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
        others = [weight for weight in model.weights if id(weight) not in tables]
        self._constants = [(weight, self._folded.weights.get(id(weight), np.array(weight))) for weight in others]

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """While this is open, all weights of the model except the tables are constants, folded where that saves operations."""
        constants = [(weight, tf.constant(value)) for weight, value in self._constants]
        with keras.StatelessScope(state_mapping=constants), self._folded.activations():
            yield

    def _probability(self, inputs: ModelInputs) -> tf.Tensor:
        return tf.sigmoid(self._model.logits(inputs))

    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._frozen():
            return {PROBABILITY: self._probability(self.reader.of_examples(examples)[0])}

    def predict(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._frozen():
            return {PROBABILITY: self._probability(self.reader.of_tensors(raw))}

    def rank(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        candidate = next(raw[column.name] for column in self._features.columns if column.role == "candidate")
        with self._frozen():
            return {PROBABILITY: tf.reshape(self._probability(self.reader.of_tensors(raw)), tf.shape(candidate))}

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.reader.transformed(tf.io.parse_example(examples, example_spec(self._features)))

    def explain(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        assert isinstance(self._model, DIN)
        inputs, places = self.reader.of_examples(examples)
        with self._frozen():
            weights = self._model.attention_weights(inputs)
            count = tf.shape(examples, tf.int64)[0]
            padded = {f"{sequence}_attention": self.reader.padded(x, places[sequence], count) for sequence, x in weights.items()}
            return {PROBABILITY: self._probability(inputs), **padded}

    def resources(self) -> tf.Module:
        """The variables and lookup tables that the graphs use, which are saved with them."""
        module = tf.Module()
        module.reader, module.tables = self.reader, self.tables
        return module

    def signatures(self) -> dict[str, Any]:
        """Returns a traced function for each signature."""
        traced = {
            "serving_default": _graph(self.serving_default).get_concrete_function(*_EXAMPLES),
            "predict": _graph(self.predict).get_concrete_function(**raw_tensor_spec(self._features)),
            "rank": _graph(self.rank).get_concrete_function(**raw_tensor_spec(self._features, candidates=True)),
            "transform_features": _graph(self.transform_features).get_concrete_function(*_EXAMPLES),
        }
        if isinstance(self._model, DIN) and self._model.sequences:
            traced["explain"] = _graph(self.explain).get_concrete_function(*_EXAMPLES)
        return traced


def export(model: RankingModel, transform_output: tft.TFTransformOutput, path: str) -> None:
    """Writes the SavedModel.

    Args:
        model: A model with its weights made.
        transform_output: The Transform graph that made its training data.
        path: Folder to write.
    """
    serving = ServingModel(model, transform_output)
    tf.saved_model.save(serving.resources(), path, signatures=serving.signatures())
