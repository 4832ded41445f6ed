"""Cuts a training batch into parts: each fits into a core's cache, and different cores compute different parts. A card gets one part.

A part is some impressions with their events. Layers do with the parts what they would do with the whole; only Dice, whose statistics are of
all events, brings them together.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from din_trainer.devices import cards
from din_trainer.layers.events import rows_of

PARTS = 2  # on cores


class Histories(NamedTuple):
    """Some impressions with their events: what `AttentionUnit` is called with."""

    query: Any
    keys: Any
    rows: Any
    event_fields: Any


def impressions_in_parts(x: Any) -> list[Any]:
    """(B, D) -> (B / parts, D) each, in their order."""
    if cards():
        return [x]
    return tf.split(x, _sizes(_bounds(rows_of(x))))


def histories_in_parts(histories: Histories) -> list[Histories]:
    """Cuts between two impressions."""
    if cards():
        return [histories]
    query, keys, rows, fields = histories
    bounds = _bounds(rows_of(query))
    events = _sizes(tf.searchsorted(rows, tf.cast(bounds, rows.dtype)))
    of_rows = zip(tf.split(rows, events), tf.unstack(bounds[:-1]), strict=True)
    return [
        Histories(*part)
        for part in zip(
            tf.split(query, _sizes(bounds)),
            tf.split(keys, events),
            [part - tf.cast(first, rows.dtype) for part, first in of_rows],
            [None] * PARTS if fields is None else tf.split(fields, events),
            strict=True,
        )
    ]


def _bounds(count: Any) -> Any:
    """The first impression of each part, and behind the last one: (parts + 1,)."""
    return tf.range(PARTS + 1) * count // PARTS


def _sizes(bounds: Any) -> Any:
    return bounds[1:] - bounds[:-1]
