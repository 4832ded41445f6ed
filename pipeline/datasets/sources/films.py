"""Reads genres and year of each film, from the file of films of any MovieLens release or of Kaggle's "The Movies Dataset"."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally, breaks_line
from pipeline.datasets.sources.typed_columns import Column, find_column, typed_rows
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm

UNKNOWN = b"(unknown)"
METADATA = "movies_metadata.csv"
NO_GENRES = (b"(no genres listed)", b"unknown", UNKNOWN)  # what stands for no genre
_NONE_LISTED = NO_GENRES[0]
_FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_BEFORE_FLAGS = ("movieId", "title", "release", "video release", "URL")  # the first columns of u.item
_ITEM = Column("movieId", ("movieid", "itemid", "id"))
_GENRES = Column("genres", ("genres", "genre", "class"), "bytes", expected="text in UTF-8", required=False)
_TITLE = Column("title", ("title", "movietitle"), "bytes", expected="text in UTF-8", required=False)
_YEAR = Column("the year", ("releaseyear", "releasedate"), "bytes", expected="text in UTF-8", required=False)
_IN_TITLE = re.compile(rb"\((\d{4})[^()\d]{0,8}\d*\)\s*$")  # (1995), or (2007-2010) of a series
_IN_DATE = re.compile(rb"\s*(\d{4})(?:-\d\d-\d\d)?(?:\.0)?\s*")
_OLD = ".dat"  # titles of 1M are in Latin-1, those of 10M in UTF-8; years and genres are the same bytes in both
_TMDB_ID = Column("tmdbId", ("tmdbid",), required=False)
_TABLES = {  # how the file is written, and what is between genres
    ".csv": (TableForm(), b"|"),
    ".dat": (TableForm("csv", "::", header=False, names=("movieId", "title", "genres")), b"|"),
    ".item": (TableForm("csv", "\t", quote=""), b" "),
}


class Film(NamedTuple):
    """A film.

    Attributes:
        id: Its id.
        genres: In the order of the file; `UNKNOWN` alone where it lists none.
        year: From the title, or from a column of its own; None where neither has it.
    """

    id: int
    genres: list[bytes]
    year: int | None


def read_films(items: Path, tally: Tally, with_year: bool) -> Iterator[Film]:
    """Yields films, in the order of the file.

    Args:
        items: The file.
        tally: Counts broken lines.
        with_year: Whether the year is read.

    Raises:
        InputError: The file cannot be read, or a file beside it that it needs.
    """
    if items.name == "u.item":
        yield from _flagged(items, tally, with_year)
    elif items.name == METADATA:
        yield from _of_metadata(items, tally, with_year)
    else:
        form, separator = _TABLES[items.suffix]
        form = replace(form, encoding="latin-1") if with_year and items.name.endswith(_OLD) else form
        dated = _dated(items, form) if with_year else []
        for film, genres, *texts in _rows(items, form, (_ITEM, _GENRES, *dated), tally):
            yield Film(film, _split(genres or b"", separator), _year_of(texts, dated))


def _split(genres: bytes, separator: bytes) -> list[bytes]:
    if genres == _NONE_LISTED:
        return [genres]
    first, *others = (genre.strip() for genre in genres.strip().split(separator))
    return [first or UNKNOWN, *filter(None, others)]


def _dated(path: Path, form: TableForm) -> list[Column]:
    """Returns the columns of a file that may have the year."""
    names = column_names(path, form)
    found = []
    for column in (_YEAR, _TITLE):
        try:
            find_column(path, names, column)
        except InputError:
            continue
        found.append(column)
    return found


def _year_of(texts: list[bytes | None], columns: list[Column]) -> int | None:
    """Returns the first year in some values."""
    for text, column in zip(texts, columns, strict=True):
        found = _IN_DATE.fullmatch(text or b"") if column is _YEAR else _IN_TITLE.search(text or b"")
        if found:
            return int(found[1])
    return None


def _rows(path: Path, form: TableForm, columns: Sequence[Column], tally: Tally) -> Iterator[tuple[Any, ...]]:
    """Yields some columns, row by row."""
    names = column_names(path, form)
    wanted = {find_column(path, names, column): column for column in columns}
    for values in typed_rows(path, read_table(path, list(wanted), form), wanted, tally):
        yield from zip(*(column.tolist() for column in values), strict=True)


def _flagged(items: Path, tally: Tally, with_year: bool) -> Iterator[Film]:
    """Reads u.item, which has one flag for each genre."""
    names = _flag_names(items.with_name("u.genre"), tally)
    form = TableForm("csv", "|", "latin-1" if with_year else "utf-8", quote="", header=False, names=(*_BEFORE_FLAGS, *names))
    dated = [_TITLE] if with_year else []
    flags = [Column(name, high=1, expected="0 or 1") for name in names]
    columns = {column.name: column for column in (_ITEM, *dated, *flags)}
    encoded = [name.encode() for name in names]
    for films, *values in typed_rows(items, read_table(items, list(columns), form), columns, tally):
        table = np.stack(values[len(dated) :], axis=1)  # (films, genres)
        titles = values[0].tolist() if dated else [None] * len(films)
        for film, title, row in zip(films.tolist(), titles, table, strict=True):
            genres = [encoded[place] for place in np.flatnonzero(row)]
            yield Film(film, genres or [UNKNOWN], _year_of([title], [_TITLE]))


def _flag_names(path: Path, tally: Tally) -> tuple[str, ...]:
    """Returns the genres in the order of u.item's flags: from u.genre (name|place), or GroupLens' own where that file is missing."""
    if not path.is_file():
        return _FLAGS
    columns = Column("genre", ("genre",), "bytes", expected="text in UTF-8"), Column("its place", ("place",))
    form = TableForm("csv", "|", quote="", header=False, names=("genre", "place"))
    named = {place: name.decode() for name, place in _rows(path, form, columns, tally)}
    if sorted(named) != list(range(len(named))):
        raise InputError(f"{path} does not number its genres 0, 1, 2, …: download it again.")
    return tuple(named[place] for place in range(len(named)))


def _of_metadata(metadata: Path, tally: Tally, with_year: bool) -> Iterator[Film]:
    """Reads movies_metadata.csv, whose films have the ids of TMDB: links.csv or links_small.csv gives them the ids of MovieLens."""
    links = next((path for name in ("links.csv", "links_small.csv") if (path := metadata.with_name(name)).is_file()), None)
    if links is None:
        raise InputError(
            f"{metadata.with_name('links.csv')} is missing: the ids of {METADATA} are those of TMDB, and only links.csv or links_small.csv "
            "says which films of the ratings they are; put it there."
        )
    found: dict[int, tuple[list[bytes], int | None]] = {}
    tmdb_id, dated = Column("id", ("id",)), _dated(metadata, TableForm()) if with_year else []
    for film, listed, *texts in _rows(metadata, TableForm(), (tmdb_id, _GENRES, *dated), tally):
        found.setdefault(film, (_names(listed), _year_of(texts, dated)))
    for film, tmdb in _rows(links, TableForm(), (_ITEM, _TMDB_ID), tally):
        yield Film(film, *((None if np.isnan(tmdb) else found.get(int(tmdb))) or ([UNKNOWN], None)))


def _names(listed: bytes | None) -> list[bytes]:
    """Returns the genres of a text such as [{'id': 16, 'name': 'Animation'}]; `UNKNOWN` in place of the first one where it has no name."""
    try:
        genres = list(ast.literal_eval((listed or b"").decode()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        genres = []
    first, *others = [_name(genre) for genre in genres] or [UNKNOWN]
    return [first, *(name for name in others if name != UNKNOWN)]


def _name(genre: Any) -> bytes:
    name = str(genre.get("name", "")).encode() if isinstance(genre, dict) else b""
    return UNKNOWN if breaks_line(name) or not name else name
