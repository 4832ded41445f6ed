"""A mapping that is being guessed: values with their reasons, and how it is written as TOML with comments."""

import json
import re
from collections import defaultdict
from typing import NamedTuple

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_ORDER = ("", "columns", "types", "missing", "timestamp", "label", "impressions", "histories", "files")
Value = str | bool | float | list[str] | dict[str, str]


class Entry(NamedTuple):
    """A key with its value, or a comment alone."""

    key: str
    value: Value
    reason: str


class Draft:
    """Collects what was guessed, table by table."""

    def __init__(self) -> None:
        self._tables: dict[str, list[Entry]] = defaultdict(list)

    def set(self, table: str, key: str, value: Value, reason: str = "") -> None:
        """Adds a key to a table of the mapping ("": the top level)."""
        self._tables[table].append(Entry(key, value, reason))

    def say(self, table: str, comment: str) -> None:
        """Adds a comment to a table."""
        self._tables[table].append(Entry("", "", comment))

    def has(self, table: str, key: str) -> bool:
        """Whether a key is set."""
        return any(entry.key == key for entry in self._tables[table])

    def lines(self) -> list[str]:
        """Returns the lines of the TOML file. A table that holds comments only is a comment itself."""
        lines: list[str] = []
        for table in _ORDER:
            entries = self._tables.get(table, [])
            if entries and table:
                lines += ["", f"[{table}]" if any(entry.key for entry in entries) else f"# [{table}]"]
            lines += map(_line, entries)
        return lines


def _line(entry: Entry) -> str:
    comment = f"# {entry.reason}" if entry.reason else ""
    return f"{_key(entry.key)} = {_value(entry.value)} {comment}".rstrip() if entry.key else comment


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)


def _value(value: Value) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else quoted(value)


def quoted(text: str) -> str:
    """Returns a text as a string of TOML, without characters that cannot be seen."""
    safe = text.encode(errors="replace").decode()  # half of a surrogate pair is no text in TOML
    return _UNSAFE.sub(
        lambda found: f"\\u{ord(found[0]):04x}" if found[0] < "\U00010000" else f"\\U{ord(found[0]):08x}",
        json.dumps(safe, ensure_ascii=False),
    )
