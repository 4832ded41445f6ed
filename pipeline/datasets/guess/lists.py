"""Recognises lists in a column: of JSON or Parquet, as text with brackets, as text with a separator, and candidates with labels."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from pipeline.datasets.guess.column import Column
from pipeline.datasets.sources.clicklog.list_cells import to_lists
from pipeline.datasets.sources.interactions import Tally

_BRACKETS = ("[]", "()", "{}")
_SEPARATORS = (",", "|", ";", " ", "^", "#", "\x02", "_", ":")
_LABELLED = re.compile(r"\S+?([-:_#|])[01]")


@dataclass(frozen=True)
class ListForm:
    """How a column's lists are written.

    Attributes:
        separator: Between the values of a text; "": the values are lists already.
        lists: The lists of the cells that are not missing, of texts.
        is_bracketed: Whether the texts have brackets.
    """

    separator: str
    lists: list[list[str]]
    is_bracketed: bool = False

    @property
    def values(self) -> Counter[str]:
        """All values of the lists."""
        return Counter(value for values in self.lists for value in values)

    def known_share(self, known: Iterable[str]) -> float:
        """Returns how many of the values are among the known ones."""
        values = self.values
        return sum(values[value] for value in set(known) & values.keys()) / max(values.total(), 1)


@dataclass(frozen=True)
class LabelledForm:
    """Cells that hold candidates with labels, such as "N1-0 N2-1".

    Attributes:
        separator: Between candidates.
        label_separator: Between a candidate and its label.
        items: The candidates of all cells.
    """

    separator: str
    label_separator: str
    items: list[str]


def nested_lists(column: Column) -> ListForm | None:
    """Returns the lists of JSON or Parquet; None where a value is no list of plain values."""
    if not column.is_nested or any(not isinstance(value, list) for value in column.present):
        return None
    if any(isinstance(value, list | dict) for values in column.present for value in values):
        return None
    return ListForm("", [[_text(value) for value in values if value is not None] for values in column.present])


def bracketed_lists(column: Column) -> ListForm | None:
    """Returns the lists of texts such as "[3, 4]", as pandas and NumPy write them; None where a text has no brackets or is no list."""
    texts = [text.strip() for text in column.texts]
    if not any(all(text[:1] == pair[0] and text[-1:] == pair[1] for text in texts) for pair in _BRACKETS if texts):
        return None
    inside = [text[1:-1].strip() for text in texts]
    separator = next((mark for mark in (",", ";", "|", " ") if any(mark in text for text in inside)), ",")
    lists = _split(texts, separator)
    return None if lists is None else ListForm(separator, lists, True)


def separated_lists(column: Column) -> list[ListForm]:
    """Returns the ways in which texts can be lists: one for each separator that is in several of the texts."""
    different = list(column.different)
    counts = {separator: sum(separator in text for text in different) for separator in _SEPARATORS}
    forms = ((mark, _split(column.texts, mark)) for mark, count in counts.items() if count > 1)
    return sorted((ListForm(mark, lists) for mark, lists in forms if lists), key=lambda form: -counts[form.separator])


def _split(texts: list[str], separator: str) -> list[list[str]] | None:
    """Returns the lists as the import reads them; None where it refuses one."""
    sizes, elements, broken = to_lists(pa.array(texts), separator, "", Tally())
    if broken.any():
        return None
    values, ends = elements.to_pylist(), sizes.cumsum()
    return [[value for value in values[begin:end] if value] for begin, end in zip(ends - sizes, ends, strict=True)]


def labelled_items(column: Column) -> LabelledForm | None:
    """Returns the form of candidates with labels; None where the cells hold anything else."""
    for separator in (" ", ",", ";", "|"):
        parts = [part for text in column.texts for part in text.split(separator) if part]
        found = [match for part in parts if (match := _LABELLED.fullmatch(part))]
        marks = Counter(match[1] for match in found)
        if len(found) == len(parts) > len(column.texts) and len(marks) == 1:
            (mark,) = marks
            return LabelledForm(separator, mark, [part.rpartition(mark)[0] for part in parts])
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
