"""Reads the first rows of a table whose form is not known: guesses the form, then reads with the reader of the import."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError
from pipeline.datasets.guess.column import Column
from pipeline.datasets.guess.csv_form import CsvForm, guess_csv_form, has_header, is_number, split_rows
from pipeline.datasets.guess.draft import Draft, quoted
from pipeline.datasets.guess.encodings import guess_encoding
from pipeline.datasets.guess.names import is_usual
from pipeline.datasets.tables.raw_rows import RawRows
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import Format, TableForm, is_table
from pipeline.datasets.tables.text_stream import check_file, read_blocks

ROWS = 10_000
_MOST_COLUMNS = 1_000  # one JSON object that is a whole dictionary has more
_PARQUET = b"PAR1"
_JSON = re.compile(r"\s*(\[\s*)?\{")
_EXCELS_LINE = re.compile(r"\Asep=.\n")  # before the header
_SEQUENCE_WORDS = 3  # values of a line, on average, by which a line of whole numbers is a user and their items


class FirstRows(NamedTuple):
    """The first rows of a table.

    Attributes:
        columns: All columns.
        form: How the table is written.
        broken: How many rows of the table so far cannot be read.
    """

    columns: list[Column]
    form: TableForm
    broken: int


def read_first_rows(path: Path, draft: Draft) -> FirstRows:
    """Returns the first rows of a file; `draft` gets [files], with reasons.

    Raises:
        InputError: The file cannot be read, is empty, or holds no table.
    """
    form = _guess_form(path, draft)
    names = column_names(path, form)
    if len(names) > _MOST_COLUMNS:
        raise InputError(f"{path} has {len(names):,} columns, so it is no log: name the file that has a row for each impression.")
    wanted = [name for name in names if name and names.count(name) == 1]
    for name in dict.fromkeys(name for name in names if name not in wanted):
        draft.say("columns", f"not used: {quoted(name)}, {'several columns have this name' if name else 'the column has no name'}")
    values, broken = _collect(read_table(path, wanted, form), wanted)
    if not any(values.values()):
        raise InputError(f"{path} holds no rows that can be read: name a file with rows.")
    return FirstRows([Column(name, values[name]) for name in wanted], form, broken)


def _collect(parts: Iterator[RawRows], names: list[str]) -> tuple[dict[str, list[object]], int]:
    values: dict[str, list[object]] = {name: [] for name in names}
    count = broken = 0
    for part in parts:
        batch = part.columns.slice(0, ROWS - count)
        for name, column in zip(names, batch.columns, strict=True):
            values[name] += column.to_pylist()
        count, broken = count + batch.num_rows, broken + len(part.broken)
        if count == ROWS:
            break
    return values, broken


def _guess_form(path: Path, draft: Draft) -> TableForm:
    check_file(path)
    with open(path, "rb") as file:
        if file.read(4) == _PARQUET:
            return _with_format(path, TableForm(), "parquet", draft)
    # Latin-1 gives each byte as it is, so this is the file's content, unpacked.
    head = next(read_blocks(path, "latin-1"), b"").decode().encode("latin-1")
    if not head.strip():
        raise InputError(f"{path} is empty: name a file with rows.")
    encoding = guess_encoding(head)
    if encoding is None:
        raise InputError(f"{path} is not a text and not Parquet, so nothing can be guessed: save it as CSV, JSON lines or Parquet.")
    form = TableForm()
    if encoding.name != "utf-8":
        draft.set("files", "encoding", encoding.name, encoding.reason)
        form = replace(form, encoding=encoding.name)
    text = _first_lines(head, encoding.name)
    if _JSON.match(text):
        return _with_format(path, form, "json", draft)
    return _with_csv(path, _with_format(path, form, "csv", draft), text, draft)


def _first_lines(head: bytes, encoding: str) -> str:
    """Returns the text of the first bytes; the last line is left out where it may have been cut off."""
    text = head.decode(encoding, "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text.rpartition("\n")[0] + "\n" if text.count("\n") > 1 and not text.endswith("\n") else text


def _with_format(path: Path, form: TableForm, kind: Format, draft: Draft) -> TableForm:
    """Sets the format where the name of the file does not tell it, or tells another one."""
    if not is_table(path) or form.format_of(path) != kind:
        draft.set("files", "format", kind, f"by the content of {quoted(path.name)}")
        form = replace(form, format=kind)
    return form


def _with_csv(path: Path, form: TableForm, text: str, draft: Draft) -> TableForm:
    text = _EXCELS_LINE.sub("", text)
    found = guess_csv_form(text)
    if found is None:
        raise InputError(_no_table(path, text))
    if found.separator != form.separator_of(path):
        draft.set("files", "separator", found.separator, f"{found.alike:.0%} of the first rows have {found.width} values by it")
        form = replace(form, separator=found.separator)
    if found.quote != form.quote and len(found.separator) == 1:
        draft.set("files", "quote", found.quote, "the rows have equal widths only without quotes")
        form = replace(form, quote=found.quote)
    if found.escape:
        draft.set("files", "escape", found.escape, "it stands before quotes in values")
        form = replace(form, escape=found.escape)
    return _with_header(form, found, text, draft)


def _with_header(form: TableForm, found: CsvForm, text: str, draft: Draft) -> TableForm:
    rows = split_rows(text.splitlines(keepends=True)[: 10 * ROWS], found.separator, found.quote, found.escape)
    there, reason = has_header(rows, [value for value in rows[0] if is_usual(value)])
    if there:
        draft.say("files", f"header: {reason}")
        return form
    draft.set("files", "header", False, f"{reason}; columns are named by their places")
    return replace(form, header=False)


def _no_table(path: Path, text: str) -> str:
    """Says that a text is no table, and whether it looks like sequences."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if all(is_number(value) for line in lines for value in line) and sum(map(len, lines)) >= _SEQUENCE_WORDS * len(lines):
        return f"{path} holds a user and their items on each line: that is for `din import sequences {path}`."
    return f"{path} has no separator by which its rows have the same number of values: name a file in CSV, JSON lines or Parquet."
