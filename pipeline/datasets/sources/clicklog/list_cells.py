"""Splits the cells of a column into lists: lists of JSON and Parquet, and texts such as a^b, [3, 4] and ['a', 'b']."""

import ast
import json
import re
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables.typed_values import by_unique, null_where, to_text, without_missing

_BARE = r"""^\s*(?:\[([^\[\]'"]*)\]|\{([^{}'":]*)\}|\(((?:[^()'"]*,[^()'"]*)?)\))\s*$"""  # (unknown) is a text, (1, 2) is a list
_QUOTED = r"""(?s)^\s*[\[({].*['"].*[\])}]\s*$"""
_IN_BRACKETS = r"^\s*(?:array\()?[\[({]"
_NUMPY_VALUE = r"np\.\w+\(([^()]*)\)"  # as NumPy 2 writes a value: np.int64(3)
_QUOTED_VALUES = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_BLANK_BETWEEN = re.compile(r"""['"]\s+['"]""")
_NAN = re.compile(r"(?<=[\[,])\s*nan\s*(?=[,\]])")
_NO_VALUE = pa.array(["None", "nan", "NaN", "null", "NULL", "<NA>"])
_LEFT_OUT = "..."  # stands for elements in long lists of NumPy


class Lists(NamedTuple):
    """Lists of N rows.

    Attributes:
        sizes: (N,) how many elements each has.
        elements: (E,) the raw elements, one list after the other.
        broken: (N,) bool: whether the cell is not a list.
    """

    sizes: np.ndarray
    elements: pa.Array
    broken: np.ndarray


def to_lists(raw: pa.Array, separator: str, column: str, tally: Tally) -> Lists:
    """Returns the lists of a column; a missing one is empty. Blanks around the elements of a text are left out.

    Args:
        raw: Lists, or texts.
        separator: Between the elements of a text; "": texts are not legal.
        column: Its name, for the note.
        tally: Notes texts that have brackets around them.
    """
    raw, broken = without_missing(raw), np.zeros(len(raw), bool)
    if pa.types.is_string(raw.type) and separator:
        lists = _trimmed(pc.split_pattern(raw, separator))
        in_brackets = pc.match_substring_regex(raw, _IN_BRACKETS).fill_null(False)
        if in_brackets.true_count:
            lists, broken = _without_brackets(raw, lists, separator, column, tally)
            broken |= in_brackets.to_numpy(zero_copy_only=False) & _torn(lists)
    elif pa.types.is_list(raw.type) or pa.types.is_large_list(raw.type) or pa.types.is_fixed_size_list(raw.type):
        lists = raw
    else:
        lists, broken = pa.nulls(len(raw), pa.list_(pa.null())), raw.is_valid().to_numpy(zero_copy_only=False)
    sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return Lists(sizes, lists.flatten(), broken)


def _trimmed(lists: pa.ListArray) -> pa.ListArray:
    return pa.ListArray.from_arrays(lists.offsets, pc.utf8_trim_whitespace(lists.flatten()), mask=lists.is_null())


def _without_brackets(raw: pa.Array, lists: pa.Array, separator: str, column: str, tally: Tally) -> tuple[pa.Array, np.ndarray]:
    """Returns the lists, those in brackets as Python and NumPy mean them, and which cells are broken."""
    raw = pc.replace_substring_regex(raw, _NUMPY_VALUE, r"\1")
    bare = pc.match_substring_regex(raw, _BARE).fill_null(False)
    quoted = pc.match_substring_regex(raw, _QUOTED).fill_null(False)
    tally.note(f"lists of {column} are written in brackets, as in [3, 4]: the brackets are left out", bare.true_count + quoted.true_count)
    inner = without_missing(pc.utf8_trim_whitespace(pc.replace_substring_regex(raw, _BARE, r"\1\2\3")))
    split = pc.utf8_split_whitespace(inner) if separator.isspace() else pc.split_pattern(inner, separator)
    elements = pc.utf8_trim_whitespace(split.flatten())
    elements = null_where(elements, pc.is_in(elements, _NO_VALUE))
    lists = pc.if_else(bare, pa.ListArray.from_arrays(split.offsets, elements, mask=split.is_null()), lists)
    if not quoted.true_count:
        return lists, np.zeros(len(raw), bool)
    typed = by_unique(null_where(raw, pc.invert(quoted)), partial(_quoted_list, separator=separator), pa.list_(pa.string()))
    return pc.if_else(quoted, typed.values, lists), typed.broken


def _torn(lists: pa.Array) -> np.ndarray:
    """(N,) bool: which lists have an element with one bracket of a pair, or NumPy's sign for elements that are not written."""
    elements = lists.flatten()
    opening, closing = (pc.count_substring_regex(elements, brackets) for brackets in (r"[\[({]", r"[\])}]"))
    wrong = pc.or_(pc.not_equal(opening, closing), pc.equal(elements, _LEFT_OUT)).fill_null(False)
    torn = np.zeros(len(lists), bool)
    torn[pc.list_parent_indices(lists).filter(wrong).to_numpy()] = True
    return torn


def _quoted_list(cell: str, separator: str) -> list[str | None]:
    """Returns the elements of a list with quotes, as JSON, Python and NumPy write it.

    Raises:
        ValueError: It is not one.
    """
    if cell.strip().startswith("{"):
        raise ValueError("a set, which has no order, or an object")
    if separator.isspace():
        if _QUOTED_VALUES.sub("", cell).strip(" \n\t[]()"):
            raise ValueError("something between the values")
        return [single or double for single, double in _QUOTED_VALUES.findall(cell)]
    if _BLANK_BETWEEN.search(cell):  # Python would join the two
        raise ValueError("no separator between two elements")
    try:
        values = json.loads(cell)
    except ValueError:
        try:
            values = ast.literal_eval(_NAN.sub("None", cell.strip()))
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError("not a list of Python") from error
    if not isinstance(values, list | tuple):
        raise ValueError("one text")
    return [None if value is None else to_text(value) for value in values]
