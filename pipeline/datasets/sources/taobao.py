"""Reads Taobao's UserBehavior.csv (Alibaba, Tianchi): what about a million users did in nine days of 2017."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.typed_columns import Column, typed_rows
from pipeline.datasets.tables.read_table import read_table
from pipeline.datasets.tables.table_form import TableForm
from pipeline.datasets.tables.typed_values import INT64_MAX

_FILES = ("UserBehavior.csv", "UserBehavior.csv.gz")
_CLICK = "pv"
_OTHERS = ("buy", "cart", "fav")
_BEGIN, _END = 1_511_539_200, 1_512_316_800  # unix seconds, 25 November and 4 December 2017, 00:00 UTC+8
_COLUMNS = (
    Column("user"),
    Column("item"),
    Column("category"),
    Column("behaviour", dtype="bytes", expected="pv, buy, cart or fav", choices=(_CLICK, *_OTHERS)),
    Column("timestamp", low=-INT64_MAX, expected="a time in whole unix seconds"),  # wrong clocks give times below 0
)
_FORM = TableForm("csv", header=False, names=tuple(column.name for column in _COLUMNS))


@dataclass(frozen=True)
class Taobao:
    """The page views of UserBehavior.csv as clicks: raw int64 ids and categories, times in unix seconds.

    Other behaviours, and page views outside the nine days that the file is about (wrong clocks), are dropped and counted.

    Args:
        file: UserBehavior.csv, plain or gzipped, or the folder that holds it.
    """

    file: Path

    name = "taobao"
    schema = pa.schema([(name, pa.int64()) for name in (USER, ITEM, CATEGORY, LABEL, TIMESTAMP)])
    has_negatives = False
    history: ClassVar[Literal["earlier"]] = "earlier"
    repeats: ClassVar[Literal["all"]] = "all"

    @property
    def rules(self) -> dict[str, str]:
        return {
            "label": "a page view (pv) is a click; buy, cart and fav are left out",
            "time": "page views outside 25 November to 3 December 2017 (UTC+8) are left out",
            "category": "as the file has it",
        }

    def files(self) -> list[Path]:
        """Returns the file.

        Raises:
            InputError: The file is missing, there twice, or still packed.
        """
        if self.file.is_dir():
            found = [path for name in _FILES if (path := self.file / name).is_file()]
            if len(found) != 1:
                holds = "both" if found else "neither"
                raise InputError(f"{self.file} holds {holds} of {' and '.join(_FILES)}: name the file.")
            return found
        if not self.file.exists():
            raise InputError(f"{self.file} is missing: name UserBehavior.csv or the folder that holds it.")
        if self.file.suffix == ".zip":
            raise InputError(f"{self.file} is packed: unzip it and name UserBehavior.csv.")
        return [self.file]

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the page views, in the file's order.

        Raises:
            InputError: The file, or a line of it, cannot be read.
        """
        columns = {column.name: column for column in _COLUMNS}
        for user, item, category, behaviour, timestamp in typed_rows(file, read_table(file, list(columns), _FORM), columns, tally):
            for other in _OTHERS:
                tally.drop(f"behaviour {other}, not a click", int((behaviour == other.encode()).sum()))
            clicked, in_time = behaviour == _CLICK.encode(), (timestamp >= _BEGIN) & (timestamp < _END)
            tally.drop("outside 25 November to 3 December 2017", int((clicked & ~in_time).sum()))
            kept = clicked & in_time
            yield pa.RecordBatch.from_arrays(
                [pa.array(values[kept], pa.int64()) for values in (user, item, category, clicked, timestamp)], schema=self.schema
            )
