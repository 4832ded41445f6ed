"""Looks up the ids of raw values in the exported model, with one table for each vocabulary. Transform's graph has one for each use."""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.features import FeatureConfig
from din_trainer.kinds import Vocabulary

_KEY = {"int64": tf.int64, "bytes": tf.string}


class VocabularyLookups(tf.Module):
    """Turns raw values into ids from 1, as `din_trainer.transform.preprocessing` does.

    Args:
        features: The features whose vocabularies are used.
        transform_output: Has the files of the vocabularies.
    """

    def __init__(self, features: FeatureConfig, transform_output: tft.TFTransformOutput):
        super().__init__()
        self._by_feature = features.vocabulary_by_feature
        self.tables = {name: _table(name, v, transform_output) for name, v in features.vocabularies.items()}

    def ids(self, feature: str, values: tf.Tensor) -> tf.Tensor:
        """Returns the ids of values of a raw feature: int64 in the shape of the values."""
        return self.ids_in(self._by_feature[feature], values)

    def ids_in(self, vocabulary: str, values: tf.Tensor) -> tf.Tensor:
        """Returns the ids of values in a vocabulary: int64 in the shape of the values."""
        table = self.tables[vocabulary]
        found = table.lookup(values)
        return found + 1 if isinstance(table, tf.lookup.StaticVocabularyTable) else found


def _table(name: str, vocabulary: Vocabulary, transform_output: tft.TFTransformOutput) -> Any:
    """Line numbers by value. A single out-of-vocabulary bucket needs no hash: it is the number after the last line.

    Without a hash the lines are numbered from 1, so that no operation has to add it.
    """
    file = transform_output.vocabulary_file_by_name(name)
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    needs_hash = vocabulary.oov_buckets > 1
    first = 0 if needs_hash else 1
    initializer = tf.lookup.TextFileInitializer(file, _KEY[vocabulary.dtype], whole, tf.int64, number, value_index_offset=first)
    if needs_hash:
        return tf.lookup.StaticVocabularyTable(initializer, vocabulary.oov_buckets, lookup_key_dtype=_KEY[vocabulary.dtype])
    return tf.lookup.StaticHashTable(initializer, first + transform_output.vocabulary_size_by_name(name))
