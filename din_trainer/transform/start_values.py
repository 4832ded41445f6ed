"""What a warm start takes from the vocabularies of its start model: the values that are not forgotten yet."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa


def ages_name(vocabulary: str) -> str:
    """The Transform asset of a warm start with a line `age value` for each value, in the order of the ids: the spans since it was seen."""
    return f"{vocabulary}_ages"


def read_lines(file: Path) -> list[bytes]:
    """The lines of an asset, as TensorFlow's tables read them: only a line feed ends a line."""
    return file.read_bytes().split(b"\n")[:-1]


class StartValues(NamedTuple):
    """The vocabularies of a start model, and the rule by which they are forgotten.

    The spans of a window count as one: its newest.

    Attributes:
        transform_graph: The Transform graph of the start model.
        elapsed: How many spans the training data is newer than that of the start model.
        forget_after: A value that did not occur in this many spans is forgotten; 0 forgets none.
    """

    transform_graph: str
    elapsed: int
    forget_after: int

    def remembered(self, vocabulary: str) -> dict[bytes, int]:
        """The values that are not forgotten if they do not occur now, each with its age in that case."""
        assets = Path(self.transform_graph) / "transform_fn" / "assets"
        if not (assets / vocabulary).is_file():
            return {}  # a feature that the start model does not have
        if (assets / ages_name(vocabulary)).is_file():
            lines = (line.split(b" ", 1) for line in read_lines(assets / ages_name(vocabulary)))
            ages = {value: self.elapsed + int(age) for age, value in lines}
        else:
            ages = dict.fromkeys(read_lines(assets / vocabulary), self.elapsed)
        return {value: age for value, age in ages.items() if not self.forget_after or age < self.forget_after}


def with_remembered(counts: pa.Table, remembered: dict[bytes, int], min_count: int) -> pa.Table:
    """Joins the values that occur now and those that the start model remembers.

    Args:
        counts: `value` (bytes) and `count`, one row for each value that occurs.
        remembered: From `StartValues.remembered`.
        min_count: A value that is not remembered must occur this often.

    Returns:
        `value`, `count` and `age`, in any order. A value that does not occur has the count 0, all others have the age 0.
    """
    found = dict(zip(counts["value"].to_pylist(), counts["count"].to_pylist(), strict=True))
    rows = [(value, count, 0) for value, count in found.items() if count >= min_count or value in remembered]
    rows += [(value, 0, age) for value, age in remembered.items() if value not in found]
    values, numbers, ages = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"value": pa.array(values, pa.large_binary()), "count": pa.array(numbers, pa.int64()), "age": pa.array(ages, pa.int64())}
    )
