"""Impressions made of the interactions of whole users: clicks with sampled negatives, or what was observed, each with its history."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.importing.histories import Histories, histories_of, history_columns
from pipeline.datasets.importing.negatives import NONE_LEFT, NegativeSampler
from pipeline.datasets.importing.order import ORDER, codes
from pipeline.datasets.importing.settings import ImportSettings
from pipeline.datasets.importing.splits import Cuts, assign
from pipeline.datasets.sources.interactions import BATCH_SIZE, CANDIDATE, HISTORICAL, ITEM, LABEL, SPLIT, USER, Source

FIRST_CLICK = "clicks before which the user has none: in histories alone"
NOT_CLICKED = "interactions that are no click: negatives are sampled"


class Made(NamedTuple):
    """Impressions of one split.

    Attributes:
        split: Index into `layout.SPLITS`.
        table: With histories as large lists, and `ORDER`.
    """

    split: int
    table: pa.Table


class Maker:
    """Makes impressions.

    Args:
        source: Where the interactions come from.
        settings: With split and negatives chosen.
        items: The items of the whole data: the fields of the candidate, and `clicks`, how often each was clicked.
        cuts: Of the whole data.
    """

    def __init__(self, source: Source, settings: ImportSettings, items: pa.Table, cuts: Cuts):
        self._source, self._settings, self._items, self._cuts = source, settings, items, cuts
        self._builds_histories = not any(name.startswith(HISTORICAL) for name in source.schema.names)
        if settings.negatives in ("uniform", "popularity"):
            self._sampler = NegativeSampler(items["clicks"].to_numpy(), settings.negatives, settings.seed)

    def make(self, table: pa.Table, dropped: dict[str, int]) -> Iterator[Made]:
        """The impressions of users, some thousands at a time.

        Args:
            table: All interactions of some users, by user and time.
            dropped: Interactions that become no impression are counted here, by reason.
        """
        histories = histories_of(table, self._source.history, self._settings.history_length)
        rows = self._impressed(table, histories, dropped)
        splits = assign(table, rows, self._settings, self._cuts)
        known = self._known(table) if self._settings.sampled else np.zeros(0, np.int64)
        for begin in range(0, len(rows), BATCH_SIZE):
            chunk = slice(begin, begin + BATCH_SIZE)
            for split in np.unique(splits[chunk]):
                chosen = rows[chunk][splits[chunk] == split]
                yield Made(int(split), self._impressions(table, histories, chosen, known, dropped))

    def _impressed(self, table: pa.Table, histories: Histories, dropped: dict[str, int]) -> np.ndarray:
        """Rows of the interactions that become impressions."""
        if not self._settings.sampled:
            return np.arange(table.num_rows)
        clicked = table[LABEL].to_numpy() == 1
        has_history = histories.ends > histories.starts if self._builds_histories else np.ones(table.num_rows, bool)
        for reason, count in ((NOT_CLICKED, (~clicked).sum()), (FIRST_CLICK, (clicked & ~has_history).sum())):
            if count:
                dropped[reason] = dropped.get(reason, 0) + int(count)
        return np.flatnonzero(clicked & has_history)

    def _known(self, table: pa.Table) -> np.ndarray:
        """What the users have interacted with, as the sampler reads it."""
        return np.unique(codes(table[USER]) * self._items.num_rows + self._item_numbers(table))

    def _item_numbers(self, table: pa.Table) -> np.ndarray:
        return pc.index_in(table[ITEM].combine_chunks(), self._items[ITEM].combine_chunks()).to_numpy().astype(np.int64)

    def _impressions(self, table: pa.Table, histories: Histories, rows: np.ndarray, known: np.ndarray, dropped: dict[str, int]) -> pa.Table:
        impressions = table.take(rows).drop_columns([name for name in (SPLIT,) if name in table.column_names])
        if self._settings.sampled:
            copies = self._settings.negatives_per_positive
            rows = np.repeat(rows, 1 + copies)
            impressions = impressions.take(np.repeat(np.arange(impressions.num_rows), 1 + copies))
            impressions, drawn = self._with_negatives(impressions, codes(table[USER])[rows], known, 1 + copies)
            rows = rows[drawn]
            if missing := int((~drawn).sum()):
                reason = "negatives that could not be drawn, since the user knows every item"
                dropped[reason] = dropped.get(reason, 0) + missing
        if self._builds_histories:
            for name, column in history_columns(table, histories, rows).items():
                impressions = impressions.append_column(name, column)
        return impressions

    def _with_negatives(self, repeated: pa.Table, users: np.ndarray, known: np.ndarray, group: int) -> tuple[pa.Table, np.ndarray]:
        """Keeps the first of each `group` equal rows and gives the others items that their user does not know.

        Returns:
            The impressions, and which of the rows are among them: (N,) bool.
        """
        place = np.arange(repeated.num_rows) % group
        negative = place > 0
        keys = repeated[ORDER].to_numpy()[negative] * group + place[negative]
        drawn = self._sampler.draw(keys, users[negative], known)
        there = np.ones(repeated.num_rows, bool)
        there[negative] = drawn != NONE_LEFT
        items = np.zeros(repeated.num_rows, np.int64)
        items[negative] = drawn
        for name in (name for name in repeated.column_names if name.startswith(CANDIDATE)):
            fields = self._items[name].take(items.clip(min=0))
            column = pc.if_else(pa.array(negative), fields.combine_chunks(), repeated[name].combine_chunks())
            repeated = repeated.set_column(repeated.column_names.index(name), name, column)
        repeated = repeated.set_column(repeated.column_names.index(LABEL), LABEL, pa.array((~negative).astype(np.int64)))
        return repeated.filter(pa.array(there)), there
