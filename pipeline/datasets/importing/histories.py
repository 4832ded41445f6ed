"""Builds the behaviour sequence of each impression: the clicks before it."""

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.event_fields import event_columns
from pipeline.datasets.importing.user_order import changes, codes, group_starts, times
from pipeline.datasets.sources.interactions import LABEL, TIMESTAMP, USER, history_name


class Histories(NamedTuple):
    """For N interactions: interaction i has the history `clicks[starts[i]:ends[i]]`.

    Attributes:
        clicks: (P,) rows of the clicks.
        starts: (N,) where each history begins in `clicks`.
        ends: (N,) where it ends.
        tied: (N,) whether the user has clicks before it in order, and all of them have the same time: so the history is empty.
    """

    clicks: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    tied: np.ndarray


def histories_of(table: pa.Table, kind: Literal["earlier", "before"], length: int) -> Histories:
    """Finds the clicks of the same user before each interaction.

    Args:
        table: Interactions, sorted by user and time.
        kind: "earlier": clicks with a strictly earlier timestamp; "before": all clicks that come earlier in order.
        length: How many of the most recent clicks are kept.
    """
    user, label = codes(table[USER]), table[LABEL].to_numpy()
    clicks_before = np.cumsum(label) - label
    ends = clicks_before
    if kind == "earlier" and TIMESTAMP in table.column_names:
        ends = clicks_before[group_starts(changes(user, times(table)))]
    first = clicks_before[group_starts(changes(user))]
    tied = (ends == first) & (clicks_before > first)
    return Histories(np.flatnonzero(label), np.maximum(first, ends - length), ends, tied)


def history_sources(schema: pa.Schema) -> dict[str, str]:
    """Returns the column that each history is built of: items, further fields of the candidate, what is known after a click, and times."""
    sources = {history: field.name for field in schema if (history := history_name(field))}
    return {**sources, HISTORICAL_TIMESTAMPS: TIMESTAMP} if TIMESTAMP in schema.names else sources


def history_columns(table: pa.Table, histories: Histories, rows: np.ndarray, sources: dict[str, str]) -> dict[str, pa.Array]:
    """Returns the histories of some interactions as lists.

    Args:
        table: Interactions.
        histories: The histories of all interactions.
        rows: (R,) the wanted interactions.
        sources: History -> column of the table.
    """
    starts, lengths = histories.starts[rows], histories.ends[rows] - histories.starts[rows]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    events = histories.clicks[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)]
    columns: dict[str, pa.Array] = {}
    for name, source in sources.items():
        columns |= event_columns(name, table[source].take(events).combine_chunks(), offsets)
    return columns
