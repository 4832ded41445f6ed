"""What a warm start takes from the vocabularies of its start model: the values that are not forgotten yet."""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa


def last_seen_name(vocabulary: str) -> str:
    """The Transform asset of a warm start with one line `span value` for each value, in the order of the ids."""
    return f"{vocabulary}_last_seen"


def read_lines(file: Path) -> list[bytes]:
    """The lines of an asset, as TensorFlow's tables read them: only a line feed ends a line."""
    return file.read_bytes().split(b"\n")[:-1]


class StartValues(NamedTuple):
    """The vocabularies of a start model, and the rule by which they are forgotten.

    Spans are counted by numbers that grow, such as days. A training on several spans counts as one on the newest of them.

    Attributes:
        transform_graph: The Transform graph of the start model.
        start_span: The span of the start model, where its own files do not say more.
        span: The span of the training that starts.
        forget_after: A value that did not occur in this many spans is forgotten; 0 forgets none.
    """

    transform_graph: str
    start_span: int
    span: int
    forget_after: int

    def remembered(self, vocabulary: str) -> dict[bytes, int]:
        """The values that are not forgotten if they do not occur now, with the span in which each was last seen."""
        assets = Path(self.transform_graph) / "transform_fn" / "assets"
        if not (assets / vocabulary).is_file():
            return {}  # a feature that the start model does not have
        if (assets / last_seen_name(vocabulary)).is_file():
            lines = (line.split(b" ", 1) for line in read_lines(assets / last_seen_name(vocabulary)))
            seen = {value: int(span) for span, value in lines}
        else:
            seen = dict.fromkeys(read_lines(assets / vocabulary), self.start_span)
        return {value: span for value, span in seen.items() if not self.forget_after or self.span - span < self.forget_after}


def with_remembered(counts: pa.Table, remembered: dict[bytes, int], span: int, min_count: int) -> pa.Table:
    """Joins the values that occur now and those that the start model remembers.

    Args:
        counts: `value` (bytes) and `count`, one row for each value that occurs.
        remembered: From `StartValues.remembered`.
        span: The span of the training that starts.
        min_count: A value that is not remembered must occur this often.

    Returns:
        `value`, `count` (0 for a value that does not occur) and `last_seen`, in any order.
    """
    found = dict(zip(counts["value"].to_pylist(), counts["count"].to_pylist(), strict=True))
    rows: list[tuple[Any, int, int]] = [(v, n, span) for v, n in found.items() if n >= min_count or v in remembered]
    rows += [(value, 0, seen) for value, seen in remembered.items() if value not in found]
    values, numbers, spans = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"value": pa.array(values, pa.large_binary()), "count": pa.array(numbers, pa.int64()), "last_seen": pa.array(spans, pa.int64())}
    )
