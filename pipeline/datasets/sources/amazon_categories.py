"""Reads the categories of Amazon's products from their metadata: strict JSON, or Python literals as in the files of 2014."""

import ast
import json
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally, breaks_line
from pipeline.datasets.tables.text_lines import read_lines

UNKNOWN = b"(unknown)"
_LISTS = ("category", "categories")  # 2018; 2023, and 2014 with a list of paths
_MAIN = ("main_cat", "main_category")  # 2018; 2023


def read_categories(metadata: Path, item_key: str, tally: Tally) -> dict[bytes, bytes]:
    """Returns the category of each item; the first line of an item counts.

    Args:
        metadata: Lines of products.
        item_key: The key of an item's id.
        tally: Notes how many lines are broken, and names the first ones; they are not interactions.

    Raises:
        InputError: The file cannot be read or is empty; or a line is broken, and broken lines are not skipped.
    """
    own_tally = Tally(tally.skip_broken)
    categories: dict[bytes, bytes] = {}
    names: dict[bytes, bytes] = {}  # so that equal categories share one object
    number = 0
    for number, line in read_lines(metadata):
        try:
            record = _parse_loosely(line)
            item, category = _id(record, item_key), _category(record)
        except (ValueError, RecursionError) as error:
            own_tally.count_broken(metadata, number, str(error))
            continue
        categories.setdefault(item, names.setdefault(category, category))
    if not number:
        raise InputError(f"{metadata} holds no rows: download it again.")
    tally.note_side_file(metadata, own_tally)
    return categories


def _parse_loosely(line: str) -> Any:
    """Parses a line of strict JSON or of a Python literal."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError, MemoryError) as error:
        raise ValueError("it is neither a JSON object nor a Python literal") from error


def _id(record: Any, key: str) -> bytes:
    """Returns the id of an item.

    Raises:
        ValueError: It is missing, or no text.
    """
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    if key not in record:
        raise ValueError(f"it has no {key}")
    if not (encoded := _encoded(key, record[key])):
        raise ValueError(f"{key} is '', but must be text")
    return encoded


def _category(record: dict[str, Any]) -> bytes:
    """Returns the last category that is listed, else the main one, else `UNKNOWN`. Names with HTML in them are passed over.

    Raises:
        ValueError: The categories are not a list of texts, or a list of such lists.
    """
    key, value = next(((key, record[key]) for key in _LISTS if record.get(key)), ("", []))
    listed = value[-1] if isinstance(value, list) and value and isinstance(value[-1], list) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise ValueError(f"{key} is {value!r:.80}, but must be a list of texts, or a list of such lists")
    main = next((record[key] for key in _MAIN if record.get(key)), "")
    names = [name for name in (main, *listed) if not (isinstance(name, str) and "<" in name)]
    return _encoded(key, names[-1] if names else "") or UNKNOWN


def _encoded(key: str, text: Any) -> bytes:
    """Returns a text in UTF-8.

    Raises:
        ValueError: It is not a text, or holds a line end or NUL.
    """
    try:
        encoded = text.encode() if isinstance(text, str) else None
    except UnicodeEncodeError:
        encoded = None
    if encoded is None or breaks_line(encoded):
        raise ValueError(f"{key} is {text!r:.80}, but must be text in UTF-8, without line ends and NUL")
    return encoded
