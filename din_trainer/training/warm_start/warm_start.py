"""Warm start: a model takes over what a start model has learnt, as far as it fits.

Embedding rows are found by value, other weights by their place in the model and by what their rows read. A model with the same network
and features gives the same scores as the start model, to the last bit, wherever all ids are known. New inputs start with weight 0.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow_transform as tft

from din_trainer.features import PADDING_ID
from din_trainer.keras_pins import adam_moments
from din_trainer.models.ranking_model import RankingModel
from din_trainer.reading.vocabulary_lookups import VocabularyLookups
from din_trainer.training.warm_start.input_rows import Weight, weights_by_place
from din_trainer.training.warm_start.table_rows import Features, TableRows, match_rows, means_by_partner, most_frequent_partner
from din_trainer.training_errors import NoStart


class StartModel(NamedTuple):
    """The model that a training starts from.

    Attributes:
        model_file: The Keras file.
        transform_graph: The Transform graph that made its training data.
    """

    model_file: Path
    transform_graph: Path


class _Copied(NamedTuple):
    """How a variable was taken over: its moments are taken over in the same way."""

    old: Any
    new: Any
    rows: Any  # function: an array of the old variable's shape -> rows of the new one, with 0 where there is none


class WarmStart:
    """Takes over a start model.

    Args:
        model: The new model, with its weights made.
        transform_output: Has its vocabularies.
        start: The start model.
        from_files: By vocabulary, the rows that come from files of embeddings. These are left as they are if they are new, or if training
            does not change the table.

    Attributes:
        report: `vocabularies` (values kept, new, dropped), `kept` and `not_kept` (weights, and why), and `moments`.

    Raises:
        NoStart: The start model cannot be read.
    """

    def __init__(self, model: RankingModel, transform_output: tft.TFTransformOutput, start: StartModel, from_files: dict[str, set[int]]):
        self._model = model
        self._transform_output = transform_output
        self._from_files = from_files
        self._settings = model.din_config.training
        self._old = _load(start.model_file, with_moments=self._settings.warm_moments)
        self._old_output = tft.TFTransformOutput(str(start.transform_graph))
        self._copied: list[_Copied] = []
        self.report: dict[str, Any] = {"vocabularies": {}, "kept": [], "not_kept": [], "moments": False}

    def take_over(self, batches: Iterable[Features]) -> None:
        """Sets the weights.

        Args:
            batches: The training data, which is read only if new ids start from their categories.
        """
        lookups = VocabularyLookups(self._old.din_config.features, self._old_output)
        features = self._model.din_config.features
        for name in (table for table in features.tables if table not in features.vocabularies):
            self._take_fixed(name)
        for name in features.vocabularies:
            values = self._transform_output.vocabulary_by_name(name)
            if reason := self._why_not(name):
                self._count(name, 0, len(values), self._old_values(name))
                self._not_kept(f"embedding_{name}", reason)
            else:
                self._take_vocabulary(name, values, partial(lookups.ids_in, name), batches)
        self._take_weights()

    def take_moments(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Sets the moments of a built optimizer, and its number of steps, if this is configured."""
        if not self._settings.warm_moments:
            return
        if not isinstance(self._old.optimizer, keras.optimizers.Adam):
            self._not_kept("moments", "the start model has none")
            return
        for old, new, rows in self._copied:
            if new.trainable and old.trainable:
                for old_moment, moment in zip(adam_moments(self._old.optimizer, old), adam_moments(optimizer, new), strict=True):
                    moment.assign(rows(old_moment.numpy()))
        optimizer.iterations.assign(self._old.optimizer.iterations)
        self.report["moments"] = True

    def _count(self, name: str, kept: int, new: int, dropped: int) -> None:
        self.report["vocabularies"][name] = {"kept": kept, "new": new, "dropped": dropped}

    def _not_kept(self, what: str, why: str) -> None:
        self.report["not_kept"].append({"what": what, "why": why})

    def _why_not(self, name: str) -> str:
        """Why the tables of a vocabulary cannot be taken over; empty if they can."""
        old = self._old.din_config.features.vocabularies.get(name)
        new = self._model.din_config.features.vocabularies[name]
        if old is None:
            return "the start model does not have it"
        if old.dtype != new.dtype:
            return f"the dtype was {old.dtype} and is {new.dtype}"
        return ""

    def _old_values(self, name: str) -> int:
        """How many values of a vocabulary the start model knows."""
        old = self._old.din_config.features.vocabularies.get(name)
        return self._old.vocabulary_sizes[name] - 1 - old.oov_buckets if old else 0

    def _take_vocabulary(self, name: str, values: list[bytes], old_ids: Callable[[Any], Any], batches: Iterable[Features]) -> None:
        features, old_features = self._model.din_config.features, self._old.din_config.features
        vocabulary, old = features.vocabularies[name], old_features.vocabularies[name]
        rows = match_rows(values, vocabulary, old, old_ids, self._old.vocabulary_sizes[name])
        partner = self._categories(name, rows, batches)
        fits = [self._take_table(name, table, rows, partner) for table in self._model.tables_of(name)]
        if any(fits):
            self._count(name, len(rows.known), len(rows.new), rows.dropped)
        else:
            self._count(name, 0, len(values), self._old_values(name))

    def _take_fixed(self, name: str) -> None:
        """Takes over the tables of a feature without a vocabulary, row by row, if they have as many rows."""
        old_size, size = self._old.table_sizes.get(name), self._model.table_sizes[name]
        if old_size != size and self._model.tables_of(name):
            self._not_kept(
                f"embedding_{name}", f"it had {old_size} rows and has {size}" if old_size else "the start model does not have it"
            )
            return
        rows = np.arange(size)
        for table in self._model.tables_of(name):
            self._take_table(name, table, TableRows(rows, rows[:0], rows[1:], rows[:0], 0), None)

    def _categories(self, name: str, rows: TableRows, batches: Iterable[Features]) -> np.ndarray | None:
        """The category of each item, if new ids of this vocabulary start from it: the second behaviour of a sequence of items."""
        features = self._model.din_config.features
        if self._settings.new_ids != "category" or not len(rows.new):
            return None
        for behaviours in features.sequences.values():
            (item_name, item), *others = behaviours.items()
            if (item.vocabulary or item_name) == name and others:
                category_name, category = others[0]
                pairs = [(item.candidate, category.candidate), (item.history, category.history)]
                category_rows = self._model.vocabulary_sizes[category.vocabulary or category_name]
                partner = most_frequent_partner(batches, pairs, len(rows.source), category_rows)
                unknown = category_rows - features.vocabulary_of(category_name).oov_buckets
                return np.where(partner >= unknown, PADDING_ID, partner)
        return None

    def _take_table(self, name: str, table: Any, rows: TableRows, partner: np.ndarray | None) -> bool:
        """Takes over a table. Returns whether it fits."""
        old = next((old for old in self._old.tables_of(name) if old.name == table.name), None)
        if old is None or old.dim != table.dim:
            why = "the start model does not have it" if old is None else f"the embedding size was {old.dim} and is {table.dim}"
            self._not_kept(table.name, why)
            return False
        of_each_label = table is not self._model.tables.get(name) or name in self._model.position_biases
        if of_each_label and self._model.labels != self._old.labels and table.dim > 1:
            self._not_kept(table.name, "the labels have changed")
            return False
        before, old_table = np.array(table.embeddings), np.array(old.embeddings)
        after = rows.of(old_table)
        if self._settings.new_ids == "random":
            after[rows.new] = before[rows.new]
        elif partner is not None:
            means = means_by_partner(after, rows.known, partner)
            for row in rows.new:
                after[row] = means.get(int(partner[row]), after[row])
        if name in self._model.tables and table is self._model.tables[name]:  # the table that files of embeddings are for
            kept = set(rows.known.tolist()) if table.trainable else set()
            from_file = sorted(self._from_files.get(name, set()) - kept)
            after[from_file] = before[from_file]
        table.embeddings.assign(after)
        self.report["kept"].append(table.name)

        def moments(old_moment: np.ndarray) -> np.ndarray:
            result = rows.of(old_moment)
            result[rows.new] = 0
            return result

        self._copied.append(_Copied(old.embeddings, table.embeddings, moments))
        return True

    def _take_weights(self) -> None:
        """Takes over all weights but the tables, if both models are of one kind."""
        kind, old_kind = self._model.din_config.model.kind, self._old.din_config.model.kind
        if kind != old_kind:
            self._not_kept("the network", f"the start model is {old_kind} and this one is {kind}")
            return
        old_weights = weights_by_place(self._old)
        same_activation = self._model.din_config.model.activation == self._old.din_config.model.activation
        for place, weight in weights_by_place(self._model).items():
            old = old_weights.get(place)
            if old is None:
                self._not_kept(place, "the start model does not have it")
            elif "/activation_" in place and not same_activation:
                self._not_kept(place, "the activation has changed")
            else:
                self._take_weight(place, weight, old)

    def _take_weight(self, place: str, weight: Weight, old: Weight) -> None:
        shape, old_shape = tuple(weight.variable.shape), tuple(old.variable.shape)
        named = bool(weight.rows) + bool(weight.columns)  # axes along which a change can be followed
        if len(shape) != len(old_shape) or shape[named:] != old_shape[named:]:
            self._not_kept(place, f"its shape was {old_shape} and is {shape}")
            return
        rows = _same_place
        if (weight.rows, weight.columns) != (old.rows, old.columns):
            self._not_kept(place, _changed_rows(weight.rows, old.rows))

            def rows(values: np.ndarray) -> np.ndarray:
                values = _by_name(values, weight.rows, old.rows)
                return _by_name(values.T, weight.columns, old.columns).T if weight.columns else values

        else:
            self.report["kept"].append(place)
        weight.variable.assign(rows(np.array(old.variable)))
        self._copied.append(_Copied(old.variable, weight.variable, rows))


def _by_name(values: np.ndarray, names: list[str], old: list[str]) -> np.ndarray:
    """The rows with some names, in their order; 0 where the old ones lack a name."""
    number = {row: i for i, row in enumerate(old)}
    result = np.zeros((len(names), *values.shape[1:]), values.dtype)
    for i, name in enumerate(names):
        if name in number:
            result[i] = values[number[name]]
    return result


def _same_place(values: np.ndarray) -> np.ndarray:
    return values


def _changed_rows(rows: list[str], old: list[str]) -> str:
    """Says which inputs of a kernel are new and which are gone."""

    def inputs(names: set[str]) -> str:
        return ", ".join(sorted({name.partition(":")[0] for name in names}))

    new, gone = set(rows) - set(old), set(old) - set(rows)
    parts = [f"{inputs(new)} start with weight 0"] * bool(new) + [f"{inputs(gone)} are gone"] * bool(gone)
    return f"its inputs have changed ({'; '.join(parts) or 'their order'}); the others are kept"


def _load(file: Path, with_moments: bool) -> RankingModel:
    try:
        return keras.models.load_model(file, compile=with_moments)
    except (OSError, ValueError, TypeError, KeyError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise NoStart(f"The start model {file} cannot be read ({first}): train without it (training.warm_start = 'none').") from error
