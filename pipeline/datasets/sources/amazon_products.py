"""Reads categories, brands and prices of Amazon's products from their metadata: strict JSON, or Python literals as in the files of 2014."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally, breaks_line
from pipeline.datasets.tables.text_lines import read_lines

UNKNOWN = b"(unknown)"
_LISTS = ("category", "categories")  # 2018; 2023, and 2014 with a list of paths
_MAIN = ("main_cat", "main_category")  # 2018; 2023
_BRANDS = ("brand", "store")  # 2014 and 2018; 2023
_DOLLARS = re.compile(r"\s*\$?\s*(\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d{1,12}(?:\.\d*)?)\s*")
_DEAREST = 1e12
_NO_PRICE = (None, "", "None", "—")
_EXAMPLE = "$1 - $5"
T = TypeVar("T")


class Product(NamedTuple):
    """The fields of a product.

    Attributes:
        category: As `read_categories` gives it.
        categories: All that are listed, each once, in the order of the file.
        brand: `UNKNOWN` where there is none.
        price: In dollars; None where there is none, or no single one.
    """

    category: bytes
    categories: list[bytes]
    brand: bytes
    price: float | None


def read_categories(metadata: Path, item_key: str, tally: Tally) -> dict[bytes, bytes]:
    """Returns the category of each item: the last one that is listed, else the main one, else `UNKNOWN`. The first line of an item counts.

    Args:
        metadata: Lines of products.
        item_key: The key of an item's id.
        tally: Notes how many lines are broken, and names the first ones; they are not interactions.

    Raises:
        InputError: The file cannot be read or is empty; or a line is broken, and broken lines are not skipped.
    """
    names: dict[bytes, bytes] = {}  # so that equal categories share one object

    def convert(record: dict[str, Any]) -> bytes:
        category = _category(record)
        return names.setdefault(category, category)

    return _read(metadata, item_key, tally, convert)


def read_products(metadata: Path, item_key: str, tally: Tally) -> dict[bytes, Product]:
    """Returns the fields of each item; see `read_categories`. `tally` also notes prices that are no single number."""
    names: dict[bytes, bytes] = {}

    def convert(record: dict[str, Any]) -> Product:
        every = (names.setdefault(name, name) for name in (_category(record), _brand(record), *_categories(record)))
        category, brand, *categories = every
        price = _price(record.get("price"))
        if price is None and record.get("price") not in _NO_PRICE:
            tally.note(f"prices in {metadata.name} are no single number and count as missing, such as {_EXAMPLE}", 1)
        return Product(category, list(dict.fromkeys(categories)), brand, price)

    return _read(metadata, item_key, tally, convert)


def _read(metadata: Path, item_key: str, tally: Tally, convert: Callable[[dict[str, Any]], T]) -> dict[bytes, T]:
    """Returns what is made of the record of each item."""
    own_tally = Tally(tally.skip_broken)
    found: dict[bytes, T] = {}
    number = 0
    for number, line in read_lines(metadata):
        try:
            record = _parse_loosely(line)
            item, fields = _id(record, item_key), convert(record)
        except (ValueError, RecursionError) as error:
            own_tally.count_broken(metadata, number, str(error))
            continue
        found.setdefault(item, fields)
    if not number:
        raise InputError(f"{metadata} holds no rows: download it again.")
    tally.note_side_file(metadata, own_tally)
    return found


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
    key, listed = _listed(record)
    main = next((record[key] for key in _MAIN if record.get(key)), "")
    last = listed[-1:] if _has_paths(listed) else listed
    names = [name for name in (main, *_names(key, listed, last)) if not (isinstance(name, str) and "<" in name)]
    return _encoded(key, names[-1] if names else "") or UNKNOWN


def _categories(record: dict[str, Any]) -> list[bytes]:
    """Returns all categories that are listed, without those with HTML.

    Raises:
        ValueError: As `_category`, for any of the lists.
    """
    key, listed = _listed(record)
    return [encoded for name in _names(key, listed, listed) if "<" not in name and (encoded := _encoded(key, name))]


def _listed(record: dict[str, Any]) -> tuple[str, Any]:
    """Returns the categories of a record, and their key."""
    return next(((key, record[key]) for key in _LISTS if record.get(key)), ("", []))


def _has_paths(listed: Any) -> bool:
    """Whether categories are a list of lists, as in 2014."""
    return isinstance(listed, list) and bool(listed) and isinstance(listed[-1], list)


def _names(key: str, listed: Any, wanted: Any) -> list[str]:
    """Returns the names in the categories that are wanted, or in some of their paths."""
    paths = wanted if _has_paths(wanted) else [wanted]
    if not all(isinstance(path, list) and all(isinstance(name, str) for name in path) for path in paths):
        raise ValueError(f"{key} is {listed!r:.80}, but must be a list of texts, or a list of such lists")
    return [name for path in paths for name in path]


def _brand(record: dict[str, Any]) -> bytes:
    """Returns the brand, or in 2023 the store; one with HTML in it does not count.

    Raises:
        ValueError: It is not a text.
    """
    key, value = next(((key, record[key]) for key in _BRANDS if record.get(key)), ("", ""))
    return UNKNOWN if isinstance(value, str) and "<" in value else _encoded(key, value) or UNKNOWN


def _price(value: Any) -> float | None:
    """Returns a price that is a number, or a text such as $1,299.99."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value < _DEAREST else None
    found = _DOLLARS.fullmatch(value) if isinstance(value, str) else None
    return float(found[1].replace(",", "")) if found else None


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
