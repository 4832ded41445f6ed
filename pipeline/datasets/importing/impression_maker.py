"""Makes impressions of the interactions of whole users: clicks with sampled negatives, or observed impressions, each with its history."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.importing.days import end_of_day
from pipeline.datasets.importing.histories import Histories, histories_of, history_columns, history_sources
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.list_values import count_differing
from pipeline.datasets.importing.negatives import NONE_LEFT, NegativeSampler
from pipeline.datasets.importing.splits import TRAIN, Cuts, assign
from pipeline.datasets.importing.user_order import ORDER, changes, codes
from pipeline.datasets.sources.interactions import (
    BATCH_SIZE,
    CANDIDATE,
    EVENT,
    HISTORICAL,
    HISTORICAL_ITEMS,
    ITEM,
    LABEL,
    SPLIT,
    TIMESTAMP,
    USER,
    Source,
    further_labels,
)

CLICKS = "clicks"  # column: how often an item was clicked
BORN = "born"  # column: when an item was seen first, or its place in the source where there are no timestamps
FIRST_CLICK = "clicks before which the user has none: in histories alone"
TIED_CLICK = "clicks before which the user has none with an earlier time: in histories alone"
NOT_CLICKED = "interactions without a click: negatives are sampled"
_NO_ITEM = -1


class Made(NamedTuple):
    """Impressions of one split.

    Attributes:
        split: Index into `layout.SPLITS`.
        table: The impressions, with histories as large lists, and with `ORDER`.
    """

    split: int
    table: pa.Table


@dataclass
class MadeCounts:
    """What is counted while impressions are made.

    Attributes:
        dropped: How many interactions did not become an impression, by reason.
        replaced: Further field of the candidate -> interactions that got the value of their item's first row instead of their own.
        not_drawn: How many negatives could not be drawn, since the user knows every item.
        tied: How many impressions have an empty history only since all clicks before them have the same time.
        events: Events of histories that the source has.
        known_events: Those of them whose item is ever a candidate.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    not_drawn: int = 0
    tied: int = 0
    events: int = 0
    known_events: int = 0

    def __add__(self, other: "MadeCounts") -> "MadeCounts":
        return MadeCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


class ImpressionMaker:
    """Makes impressions.

    Args:
        source: Where the interactions come from.
        settings: The settings, with split and negatives chosen.
        items: All items of the data: the fields of the candidate; `clicks`, by which popular negatives are drawn; and `born`.
        cuts: The cuts between the splits, found in the whole data.
    """

    def __init__(self, source: Source, settings: ImportSettings, items: pa.Table, cuts: Cuts):
        self._source, self._settings, self._items, self._cuts = source, settings, items, cuts
        self._builds_histories = not any(name.startswith(HISTORICAL) for name in source.schema.names)
        if settings.negatives in ("uniform", "popularity"):
            born = items[BORN].to_numpy() if settings.spans else None
            self._sampler = NegativeSampler(items[CLICKS].to_numpy(), settings.negatives, settings.seed, born)

    def make(self, table: pa.Table, counts: MadeCounts) -> Iterator[Made]:
        """Yields the impressions of users, some thousands at a time.

        Args:
            table: All interactions of some users, sorted by user and time.
            counts: What is counted is added.
        """
        known, users = np.zeros(0, np.int64), codes(table[USER])
        if HISTORICAL_ITEMS in table.column_names:
            events = self._item_numbers(table[HISTORICAL_ITEMS].combine_chunks().flatten())
            counts.events += len(events)
            counts.known_events += int((events != _NO_ITEM).sum())
        if self._settings.sampled:
            known, table = self._known(table, users), self._with_fields_of_items(table, counts)
        if self._settings.split != "given":
            yield from self._make(table, users, np.ones(table.num_rows, bool), known, counts)
            return
        given = assign(table, np.arange(table.num_rows), self._settings, self._cuts)
        for split in np.unique(given):  # so that no history has a click of a later split
            until = given <= split
            yield from self._make(table.filter(pa.array(until)), users[until], given[until] == split, known, counts)

    def held_out(self, table: pa.Table) -> np.ndarray:
        """Returns the item number of each click in validation/ and eval/, (C,)."""
        histories = histories_of(table, self._source.history, self._settings.history_length)
        rows = np.flatnonzero((table[LABEL].to_numpy() == 1) & self._has_history(histories))
        return self._item_numbers(table[ITEM])[rows[assign(table, rows, self._settings, self._cuts) != TRAIN]]

    def _make(self, table: pa.Table, users: np.ndarray, wanted: np.ndarray, known: np.ndarray, counts: MadeCounts) -> Iterator[Made]:
        """Yields the impressions of the wanted interactions, (N,) bool; the others are only in histories."""
        histories = histories_of(table, self._source.history, self._settings.history_length)
        rows = self._impressed(table, histories, wanted, counts)
        splits = assign(table, rows, self._settings, self._cuts)
        counts.tied += int(histories.tied[rows].sum()) if self._builds_histories else 0
        size = BATCH_SIZE // self.copies
        for begin in range(0, len(rows), size):
            chunk = slice(begin, begin + size)
            for split in np.unique(splits[chunk]):
                chosen = rows[chunk][splits[chunk] == split]
                impressions, chosen = self._candidates(table, users, chosen, known, counts)
                yield Made(int(split), self._with_histories(impressions, table, histories, chosen))

    def known_share(self, counts: MadeCounts) -> float | None:
        """Share of the events of histories whose item is ever a candidate: 1 where histories are built; None where they have no event."""
        if self._builds_histories:
            return 1.0
        return counts.known_events / counts.events if counts.events else None

    @property
    def copies(self) -> int:
        """How many impressions each interaction becomes."""
        return 1 + self._settings.negatives_per_positive if self._settings.sampled else 1

    def _impressed(self, table: pa.Table, histories: Histories, wanted: np.ndarray, counts: MadeCounts) -> np.ndarray:
        """Returns the rows of the interactions that become impressions."""
        if not self._settings.sampled:
            return np.flatnonzero(wanted)
        clicked = table[LABEL].to_numpy() == 1
        has_history = self._has_history(histories)
        _drop(counts, NOT_CLICKED, wanted & ~clicked)
        _drop(counts, FIRST_CLICK, wanted & clicked & ~has_history & ~histories.tied)
        _drop(counts, TIED_CLICK, wanted & clicked & ~has_history & histories.tied)
        return np.flatnonzero(wanted & clicked & has_history)

    def _has_history(self, histories: Histories) -> np.ndarray:
        return (histories.ends > histories.starts) | (not self._builds_histories)

    def _with_fields_of_items(self, table: pa.Table, counts: MadeCounts) -> pa.Table:
        """Gives each item the same fields in every row: otherwise a field could show whether an impression is a click or a negative."""
        rows = self._item_numbers(table[ITEM])
        for name in (name for name in table.column_names if name.startswith(CANDIDATE) and name != ITEM):
            fields = self._items[name].take(rows)
            if replaced := count_differing(fields.combine_chunks(), table[name].combine_chunks()):
                counts.replaced[name] += replaced
            table = table.set_column(table.column_names.index(name), name, fields)
        return table

    def _known(self, table: pa.Table, users: np.ndarray) -> np.ndarray:
        """Returns what the users have interacted with, in the sampler's form; histories that the source has are included."""
        items = self._item_numbers(table[ITEM])
        if HISTORICAL_ITEMS in table.column_names:
            histories = table[HISTORICAL_ITEMS].combine_chunks()
            lengths = pc.fill_null(pc.list_value_length(histories), 0).to_numpy(zero_copy_only=False)
            users = np.concatenate((users, np.repeat(users, lengths)))
            items = np.concatenate((items, self._item_numbers(histories.flatten())))
        there = items != _NO_ITEM
        pairs = np.sort(users[there] * self._items.num_rows + items[there])
        return pairs[changes(pairs)]

    def _item_numbers(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Returns the (N,) places of ids among the items; `_NO_ITEM` where an id is not an item."""
        whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        return pc.fill_null(pc.index_in(whole, self._items[ITEM].combine_chunks()), _NO_ITEM).to_numpy().astype(np.int64)

    def _candidates(
        self, table: pa.Table, users: np.ndarray, rows: np.ndarray, known: np.ndarray, counts: MadeCounts
    ) -> tuple[pa.Table, np.ndarray]:
        """Returns the impressions of some interactions without histories, and the interaction of each one."""
        impressions = table.take(rows).drop_columns([name for name in table.column_names if name == SPLIT or name.startswith(EVENT)])
        if not self._settings.sampled:
            return impressions, rows
        impressions = impressions.take(np.repeat(np.arange(impressions.num_rows), self.copies))
        rows = np.repeat(rows, self.copies)
        impressions, drawn = self._with_negatives(impressions, users[rows], known)
        counts.not_drawn += int((~drawn).sum())
        return impressions, rows[drawn]

    def _with_histories(self, impressions: pa.Table, table: pa.Table, histories: Histories, rows: np.ndarray) -> pa.Table:
        if self._builds_histories:
            for name, column in history_columns(table, histories, rows, history_sources(self._source.schema)).items():
                impressions = impressions.append_column(name, column)
        return impressions

    def _with_negatives(self, repeated: pa.Table, users: np.ndarray, known: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Keeps the first of each group of equal rows, and replaces the item of the others by one that the user does not know.

        Returns:
            The impressions, and which rows are among them: (N,) bool.
        """
        place = np.arange(repeated.num_rows) % self.copies
        negative = place > 0
        keys = repeated[ORDER].to_numpy()[negative] * self.copies + place[negative]
        until = end_of_day(repeated[TIMESTAMP].to_numpy()[negative]) if self._settings.spans else None
        drawn = self._sampler.draw(keys, users[negative], known, until)
        there = np.ones(repeated.num_rows, bool)
        there[negative] = drawn != NONE_LEFT
        items = np.zeros(repeated.num_rows, np.int64)
        items[negative] = drawn
        for name in (name for name in repeated.column_names if name.startswith(CANDIDATE)):
            fields = self._items[name].take(items.clip(min=0))
            column = pc.if_else(pa.array(negative), fields.combine_chunks(), repeated[name].combine_chunks())
            repeated = repeated.set_column(repeated.column_names.index(name), name, column)
        repeated = repeated.set_column(repeated.column_names.index(LABEL), LABEL, pa.array((~negative).astype(np.int64)))
        for name in further_labels(repeated.schema):
            column = pc.and_(repeated[name].combine_chunks(), pa.array(~negative))
            repeated = repeated.set_column(repeated.column_names.index(name), name, column)
        return repeated.filter(pa.array(there)), there


def _drop(counts: MadeCounts, reason: str, which: np.ndarray) -> None:
    if which.any():
        counts.dropped[reason] += int(which.sum())
