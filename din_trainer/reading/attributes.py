"""Raw values that tables have: they are looked up by ids of the request, in training and in the exported model."""

from typing import Any

import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.kinds import MISSING, Tags
from din_trainer.lookups.joins import Join, joins
from din_trainer.lookups.table_file import read_tables
from din_trainer.lookups.tensor_lookup import TensorLookup
from din_trainer.reading import tags
from din_trainer.reading.raw_values import RawValues

NEWEST = tf.int64.max  # the time of an impression that does not say when it is: it gets the newest rows


class Attributes(tf.Module):
    """Adds what tables have to raw values. B impressions, N candidates, E events.

    Args:
        features: The features of the model, with its tables.

    Raises:
        ValueError: A table cannot be used.
    """

    def __init__(self, features: FeatureConfig):
        super().__init__()
        self._features = features
        self._joins = joins(features)
        self.tables = {name: TensorLookup(table) for name, table in read_tables(features).items()}

    def added_to(self, raw: RawValues, now: tf.Tensor | None) -> RawValues:
        """Returns the raw values with those of the tables.

        Args:
            raw: With the ids that are looked up.
            now: The time of each impression, (B,) int64 unix seconds, for tables with rows of different times; None for their newest rows.
        """
        values, found_tags = dict(raw.values), dict(raw.tags)
        features = {placed.name: placed.feature for placed in self._features.placed}
        attributes = {join.column.name: self._attribute(join, raw, now) for join in self._joins}
        for name, attribute in attributes.items():
            feature = features.get(name)
            if isinstance(feature, Tags):
                weights = attributes[feature.weights] if feature.weights else None
                found_tags[name] = tags.of_padded(attribute, weights, MISSING[feature.dtype], feature.most)
            else:
                values[name] = attribute
        return RawValues(values, found_tags, raw.rows)

    def _attribute(self, join: Join, raw: RawValues, now: tf.Tensor | None) -> Any:
        """An attribute in the shape of the ids; tags, weights and vectors have one more dimension."""
        ids, table = raw.values[join.ids], self.tables[join.lookup]
        times = None
        if now is not None and self._features.lookups[join.lookup].valid_from:
            if join.column.presence == "sequence":
                times = tf.gather(now, next(raw.rows[s] for s, names in self._histories().items() if join.ids in names))
            else:
                times = now if len(ids.shape) == 1 else tf.broadcast_to(now[:, None], tf.shape(ids))
        return table.values(join.source, table.find(ids, times))

    def _histories(self) -> dict[str, list[str]]:
        return {sequence: [b.history for b in behaviours.values()] for sequence, behaviours in self._features.sequences.items()}
