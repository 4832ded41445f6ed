"""Writes a mapping for a click log by a look at its first rows: `din import clicklog SOURCE --guess`."""

from pathlib import Path

from components.base.errors import InputError
from pipeline.datasets.guess.draft import Draft, quoted
from pipeline.datasets.guess.first_rows import FirstRows, read_first_rows
from pipeline.datasets.guess.mapping_draft import write_mapping
from pipeline.datasets.guess.roles import guess_roles
from pipeline.datasets.tables.read_table import column_names
from pipeline.datasets.tables.table_form import is_table

_USAGE = "din import clicklog SOURCE --mapping mapping.toml --out DIR"
_OTHERS_READ = 20  # files of a folder whose columns are compared
_SOURCES = {
    ("userId", "movieId", "rating", "timestamp"): "movielens",
    ("userId", "Id", "rating", "timestamp"): "movielens",
    ("reviewerID", "asin", "overall", "unixReviewTime"): "amazon",
    ("user_id", "parent_asin", "rating", "timestamp"): "amazon",
}


def guess_mapping(source: Path) -> list[str]:
    """Returns the lines of a mapping, with the reasons as comments.

    Args:
        source: A table, or a folder: then its largest table counts.

    Raises:
        InputError: The file cannot be read, or holds no table.
    """
    draft = Draft()
    files = _files(source)
    path = max(files, key=lambda file: file.stat().st_size) if len(files) > 1 else files[0]
    others = [file for file in files if file != path]
    table = read_first_rows(path, draft)
    _write_title(path, table, draft)
    if others:
        _write_others(path, others, table, draft)
    has_names = not all(column.name.isdigit() for column in table.columns)
    write_mapping(guess_roles(table.columns, has_names), draft)
    return draft.lines()


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    tables = [path for path in found if is_table(path)] or found
    if not tables:
        raise InputError(f"{source} holds no files: name a table, or a folder with tables.")
    return tables


def _write_others(path: Path, others: list[Path], table: FirstRows, draft: Draft) -> None:
    """Says which other files of the folder an import reads too, and which of the first ones have other columns."""
    draft.say("", f"This is the largest file of the folder. An import of the folder also reads the others ({len(others):,}).")
    names = column_names(path, table.form)
    different = []
    for other in others[:_OTHERS_READ]:
        try:
            if column_names(other, table.form) != names:
                different.append(other)
        except InputError:
            different.append(other)
    if different:
        listed = ", ".join(quoted(other.name) for other in different)
        draft.say("", f"These have other columns: {listed}. Name one file as SOURCE, or the files of the log in [files].")


def _write_title(path: Path, table: FirstRows, draft: Draft) -> None:
    rows = len(table.columns[0].values)
    broken = f" ({table.broken:,} rows before the last of them cannot be read)" if table.broken else ""
    draft.say("", f"Guessed by the first {rows:,} rows of {quoted(path.name)}{broken}. Check it, save it as mapping.toml, and then:")
    draft.say("", _USAGE)
    names = {column.name for column in table.columns}
    for columns, source in _SOURCES.items():
        if names.issuperset(columns):
            draft.say("", f"The names of the columns are those of another source: `din import {source}` needs no mapping.")
