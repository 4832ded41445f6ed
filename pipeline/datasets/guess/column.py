"""A column of a table's first rows: what kind of values it holds, and how many of them mean that there is no value."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from pipeline.datasets.guess.csv_form import is_number
from pipeline.datasets.importing.column_counts import MISSING_WORDS
from pipeline.datasets.tables.typed_values import INT64_MAX

_WHOLE = re.compile(r"-?[0-9]+(\.0*)?")
_WORDS = frozenset(word.lower() for word in MISSING_WORDS)
_CODE = re.compile(r"-?0[0-9]")
_LONG_TEXT = 5  # words on average
_SHOWN = 3  # examples
_SHOWN_LENGTH = 40  # characters of an example


@dataclass(frozen=True)
class Column:
    """The values of a column in the first rows.

    Attributes:
        name: The name in the table.
        values: Raw values: texts of CSV, any value of JSON and Parquet.
    """

    name: str
    values: list[Any]

    @cached_property
    def present(self) -> list[Any]:
        """The values that are there: not null, NaN or empty."""
        return [value for value in self.values if _is_there(value)]

    @cached_property
    def is_nested(self) -> bool:
        """Whether values are lists or objects, or of a type of Parquet that is neither text, a number nor a moment."""
        return any(not isinstance(value, str | bytes | int | float | Decimal | date) for value in self.present)

    @cached_property
    def is_moment(self) -> bool:
        """Whether the values are times of Parquet."""
        return bool(self.present) and all(isinstance(value, date) for value in self.present)

    @cached_property
    def texts(self) -> list[str]:
        """The values that are there, as texts, without those that mean that there is none."""
        return [text for text in self._all_texts if text not in self.markers]

    @cached_property
    def cells(self) -> list[Any]:
        """All values, moments as they are and others as texts; None where there is no value."""
        if self.is_moment:
            return self.values
        texts = [_text(value) if _is_there(value) else None for value in self.values]
        return [None if text in self.markers else text for text in texts]

    @cached_property
    def markers(self) -> dict[str, int]:
        """Texts that mean that there is no value, and how often each one is there. -1 is one where no other
        number is negative, and 1 is not the only other value."""
        found = {text: count for text, count in Counter(self._all_texts).items() if text.lower() in _WORDS or text == "-1.0"}
        others = [text for text in set(self._all_texts) if text not in found]
        if {"-1", "-1.0"} & found.keys() and (any(text.startswith("-") for text in others) or set(others) == {"1"}):
            found = {text: count for text, count in found.items() if text not in ("-1", "-1.0")}
        return found

    @cached_property
    def _all_texts(self) -> list[str]:
        return [] if self.is_nested or self.is_moment else list(map(_text, self.present))

    @cached_property
    def different(self) -> Counter[str]:
        """The different texts, and how often each one is there."""
        return Counter(self.texts)

    @cached_property
    def numbers(self) -> list[float] | None:
        """The texts as numbers; None where one of them is not a number, or is a code such as 007."""
        is_numeric = bool(self.texts) and all(is_number(text) and not _CODE.match(text) for text in self.different)
        return list(map(float, self.texts)) if is_numeric else None

    @cached_property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers of 64 bits, also such as 3.0."""
        if self.numbers is None or max(map(abs, self.numbers)) > INT64_MAX // 2:
            return False
        return all(_WHOLE.fullmatch(text.strip()) for text in self.different)

    @cached_property
    def is_id(self) -> bool:
        """Whether all values can be ids of type int64."""
        return self.is_whole and min(self.numbers or [0]) >= 0

    @property
    def is_long_text(self) -> bool:
        """Whether the values are texts of many words, such as titles and reviews."""
        words = sum(text.count(" ") + 1 for text in self.texts)
        return self.numbers is None and words > _LONG_TEXT * len(self.texts)

    @property
    def dtype(self) -> str:
        """The type of a feature in a mapping."""
        if self.is_whole:
            return "int64"
        return "float" if self.numbers is not None else "bytes"

    @property
    def examples(self) -> list[str]:
        """Some of the values, the most frequent ones first."""
        shown = (
            map(str, self.present[:_SHOWN])
            if self.is_nested or self.is_moment
            else (text for text, _ in self.different.most_common(_SHOWN))
        )
        return [text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…" for text in shown]


def _is_there(value: Any) -> bool:
    return value is not None and value not in ("", b"") and value == value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
