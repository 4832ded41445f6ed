"""A column of the batches whose cells hold several values: tags, weights of tags, or a vector of fixed size."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.datasets.event_fields import list_lengths
from pipeline.datasets.sources.clicklog.fields import Field, scalar
from pipeline.datasets.sources.clicklog.list_cells import to_lists
from pipeline.datasets.sources.clicklog.mapping import Mapping
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.typed_values import Typed, shown


@dataclass(frozen=True)
class ListField:
    """A column of lists.

    Attributes:
        element: How a value is read.
        separator: Between the values of a text; "": the log has lists.
        size: Of a vector; 0 for tags and weights.
        weights: The feature with the weights of these tags; "": they have none.
        history: Whether built histories have it.
    """

    element: Field
    separator: str
    size: int = 0
    weights: str = ""
    history: bool = False

    @property
    def name(self) -> str:
        return self.element.name

    @property
    def column(self) -> str:
        return self.element.column

    @property
    def type(self) -> pa.DataType:
        return pa.list_(self.element.type, self.size) if self.size else pa.list_(self.element.type)

    @property
    def expected(self) -> str:
        separated = f" separated by {self.separator!r}" if self.separator else ""
        many = f"{self.size} of them, " if self.size else ""
        return f"a list{separated} ({many}{self.element.expected} each)"

    def typed(self, raw: pa.Array, tally: Tally) -> Typed:
        """Returns the lists. Tags without a value are null in them; a cell without a vector is null."""
        lists = to_lists(raw, self.separator, self.column, tally)
        elements = self.element.typed(lists.elements, tally)
        rows = np.repeat(np.arange(len(raw)), lists.sizes)
        broken = lists.broken.copy()
        broken[rows[elements.broken]] = True
        if not self.size:
            return Typed(_lists(elements.values, lists.sizes), broken)
        missing = np.bincount(rows, elements.values.is_null().to_numpy(zero_copy_only=False), len(raw))
        there = missing < lists.sizes
        broken |= there & ((lists.sizes != self.size) | (missing > 0))
        there &= ~broken
        vectors = pa.FixedSizeListArray.from_arrays(elements.values.filter(pa.array(there[rows])), self.size)
        return Typed(vectors.take(pa.array(np.cumsum(there) - 1, mask=~there)), broken)

    def fault(self, raw: pa.Array, place: int) -> str:
        """Says what is wrong with the raw value at a place."""
        return f"{self.column} is {shown(raw, place)}, but must be {self.expected}"


def list_field(meaning: Mapping, name: str, column: str) -> ListField | None:
    """Returns the column of a feature with several values; None if it has one. In tags that are whole numbers, -1 means "no value"."""
    tags = next((tags for tags in meaning.lists.values() if tags.weights == name), None)
    if name not in meaning.lists and tags is None:
        return None
    if meaning.dtype(name) == "int64":
        missing = ("-1", *meaning.missing_texts(name))
        meaning = meaning.model_copy(update={"missing": meaning.missing | {name: missing}})
    element = scalar(meaning, name, column, is_id=True)
    if tags:
        return ListField(element, tags.separator, history=tags.history)
    found = meaning.lists[name]
    return ListField(element, found.separator, found.size, found.weights, found.history)


def without_missing_tags(fields: Iterable[Field | ListField], typed: dict[str, Typed], tally: Tally) -> dict[str, Typed]:
    """Returns the columns of tags without those that have no value, and their weights; `tally` notes how many tags these are.

    Rows whose weights are not as many as the tags, or are missing, are broken.

    Args:
        fields: The columns; others than those of tags are passed over.
        typed: Their values.
        tally: Notes what is dropped.
    """
    changed = {}
    for field in (field for field in fields if isinstance(field, ListField) and not field.size):
        if pa.types.is_floating(field.element.type):  # weights
            continue
        tags = typed[field.name]
        values, sizes = tags.values.flatten(), list_lengths(tags.values)
        missing = values.is_null().to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(sizes)), sizes)
        kept = sizes - np.bincount(rows[missing], minlength=len(sizes))
        if missing.any():
            tally.note(f"tags of {field.column} have no value and are left out", int((missing & ~tags.broken[rows]).sum()))
            changed[field.name] = tags._replace(values=_lists(values.filter(pa.array(~missing)), kept))
        if field.weights:
            changed[field.weights] = _beside(typed[field.weights], sizes, missing)
    return changed


def _beside(weights: Typed, sizes: np.ndarray, missing: np.ndarray) -> Typed:
    """Returns the weights of tags, without those of missing tags.

    Args:
        weights: Of N rows.
        sizes: (N,) how many tags each row has.
        missing: (T,) bool: which tags are left out.
    """
    own_sizes = list_lengths(weights.values)
    same = own_sizes == sizes
    rows, of_tag = np.repeat(np.arange(len(same)), own_sizes), np.repeat(np.arange(len(same)), sizes)
    kept = ~missing[same[of_tag]]
    values = weights.values.flatten().filter(pa.array(same[rows])).filter(pa.array(kept))
    of_value = rows[same[rows]][kept]
    broken = weights.broken | ~same
    broken[of_value[values.is_null().to_numpy(zero_copy_only=False)]] = True
    return Typed(_lists(values, np.bincount(of_value, minlength=len(same))), broken)


def _lists(values: pa.Array, sizes: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.concatenate(([0], np.cumsum(sizes))), pa.int32()), values)
