"""Turns raw features, serialised or as tensors, into the inputs of the model: in requests to the exported model, and in training.

It does the same as Transform, with the same arithmetic, in fewer operations: it cuts histories to their most recent events before it looks
up their ids, and does not pad them. An event without a value (−1 or "") is padding, in tensors and in tf.Examples. Sameness checks before
every push that both ways give the same score.

Tf.Examples and tensors become the same `RawValues` first; all that follows is written once.

B impressions a request, T raw events of a padded history, E events that are kept, L the most that are kept of one history.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import TIMESTAMP, FeatureConfig, gap_name
from din_trainer.kinds import Bucketized, Cross, Hashed, Tags, TimeGap
from din_trainer.models.model_inputs import Bag, ModelInputs
from din_trainer.reading import computed_features
from din_trainer.reading.attributes import NEWEST, Attributes
from din_trainer.reading.padded_features import padded_features
from din_trainer.reading.parsed_examples import ParsedExamples, example_spec, read_examples
from din_trainer.reading.raw_tensors import read_tensors
from din_trainer.reading.raw_values import RawValues
from din_trainer.reading.values_read import values_read
from din_trainer.reading.vocabulary_lookups import VocabularyLookups
from din_trainer.transform import hashes
from din_trainer.transform.slots import to_dense

Raw = dict[str, Any]


class Reader(tf.Module):
    """Turns a request into a model's `ModelInputs`.

    Args:
        features: The features of the model.
        transform_output: The Transform graph that made its training data.
    """

    def __init__(self, features: FeatureConfig, transform_output: tft.TFTransformOutput):
        super().__init__()
        self._features = features
        self._read = [placed for placed in values_read(features) if placed.name != TIMESTAMP]
        self._kinds = {placed.name: placed.feature for placed in self._read}
        self._crosses = {p.name: p.feature for p in features.placed if isinstance(p.feature, Cross)}
        self._statistics = computed_features.statistics_of(features, transform_output)
        self.lookups = VocabularyLookups(features, transform_output)
        self.attributes = Attributes(features) if features.lookups else None

    def of_examples(self, examples: tf.Tensor) -> tuple[ModelInputs, dict[str, tf.Tensor]]:
        """Reads serialised tf.Examples (B,). Returns what `of_parsed` does."""
        return self.of_parsed(tf.io.parse_example(examples, example_spec(self._features)))

    def of_parsed(self, parsed: Raw) -> tuple[ModelInputs, dict[str, tf.Tensor]]:
        """Reads tf.Examples that were parsed by `example_spec`.

        Returns:
            The inputs, and for each sequence the places of its events: (E, 2), row and column in (B, L).
        """
        examples = self.raw_of_parsed(parsed)
        return self.of_raw(examples.raw), examples.places

    def of_tensors(self, tensors: Raw) -> ModelInputs:
        """Reads raw tensors in the shapes of `raw_tensor_spec`: features (B,), histories (B, T); candidate features may be (B, N)."""
        raw = read_tensors(tensors, self._features)
        return self.of_raw(self.attributes.added_to(raw, tensors.get(TIMESTAMP)) if self.attributes else raw)

    def raw_of_parsed(self, parsed: Raw) -> ParsedExamples:
        """The raw values of tf.Examples that were parsed by `example_spec`, with those that tables have."""
        examples = read_examples(parsed, self._features)
        if not self.attributes:
            return examples
        now = to_dense(parsed[TIMESTAMP], NEWEST) if TIMESTAMP in parsed else None
        return examples._replace(raw=self.attributes.added_to(examples.raw, now))

    def of_raw(self, raw: RawValues) -> ModelInputs:
        """What a model reads of raw values."""
        inputs = ModelInputs({}, {}, {}, {})
        for name, _, sequence, feature in self._read:
            after = gap_name(name) if isinstance(feature, TimeGap) else name
            statistics = self._statistics.get(after, {})
            if sequence:
                inputs.rows[after] = raw.rows[sequence]
            if isinstance(feature, Tags):
                values, slots, weights = raw.tags[name]
                inputs.bags[name] = Bag(self.lookups.ids(name, values), slots, weights)
            elif isinstance(feature, TimeGap):
                now = tf.gather(raw.values[TIMESTAMP], raw.rows[sequence])
                inputs.dense[after] = computed_features.time_gaps(raw.values[name], now, statistics)
            elif isinstance(feature, Hashed | Bucketized):
                inputs.ids[name] = computed_features.ids_of(feature, raw.values[name], statistics)
            elif name in self._features.vocabulary_by_feature:
                inputs.ids[name] = self.lookups.ids(name, raw.values[name])
            else:
                inputs.dense[name] = computed_features.dense_of(feature, raw.values[name], statistics)
        inputs.ids.update({name: self._cross_ids(name, raw, inputs) for name in self._crosses})
        return inputs

    def _cross_ids(self, name: str, raw: RawValues, inputs: ModelInputs) -> tf.Tensor:
        """The ids of two or three features together: (B,), or (B, N) if one of them differs between candidates."""
        in_buckets = [isinstance(self._kinds[part], Bucketized) for part in self._crosses[name].of]
        parts = [(inputs.ids if by_id else raw.values)[part] for part, by_id in zip(self._crosses[name].of, in_buckets, strict=True)]
        return self._ids_of_texts(name, hashes.crossed(_of_one_shape(parts)))

    def missing_cross(self, name: str) -> tf.Tensor:
        """The id of a cross whose parts are all missing: a scalar."""
        kinds = [self._kinds[part] for part in self._crosses[name].of]
        parts = [tf.constant(kind.rows - 1, tf.int64) if isinstance(kind, Bucketized) else tf.constant("") for kind in kinds]
        return self._ids_of_texts(name, hashes.crossed(parts))

    def _ids_of_texts(self, name: str, texts: tf.Tensor) -> tf.Tensor:
        buckets = self._crosses[name].buckets
        return hashes.cross_ids(texts, buckets) if buckets else self.lookups.ids(name, texts)

    def transformed(self, parsed: Raw, ragged: bool = False) -> dict[str, tf.Tensor | tf.RaggedTensor]:
        """Reads parsed tf.Examples, and returns the features that Transform's graph gives, by name: (B, …), those of events (B, L, …).

        With `ragged`, those of a sequence with a long history are ragged, (B, events, …).
        """
        return padded_features(self._features, *self.of_parsed(parsed), ragged=ragged)


def _of_one_shape(parts: list[tf.Tensor]) -> list[tf.Tensor]:
    """Repeats what is the same for all candidates, (B,), for each of them, if other parts are (B, N)."""
    by_candidate = next((x for x in parts if len(x.shape) == 2), None)
    if by_candidate is None:
        return parts
    return [x if len(x.shape) == 2 else tf.broadcast_to(tf.expand_dims(x, 1), tf.shape(by_candidate)) for x in parts]
