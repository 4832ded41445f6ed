"""Reads the first genre of each film, from the file of films of any MovieLens release or of Kaggle's "The Movies Dataset"."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally, breaks_line
from pipeline.datasets.sources.typed_columns import Column, find_column, typed_rows
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm

UNKNOWN = b"(unknown)"
METADATA = "movies_metadata.csv"
_NO_GENRES = b"(no genres listed)"
_FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_BEFORE_FLAGS = ("movieId", "title", "release", "video release", "URL")  # the first columns of u.item
_ITEM = Column("movieId", ("movieid", "itemid", "id"))
_GENRES = Column("genres", ("genres", "genre", "class"), "bytes", expected="text in UTF-8", required=False)
_TMDB_ID = Column("tmdbId", ("tmdbid",), required=False)
_TABLES = {  # how the file is written, and what is between genres
    ".csv": (TableForm(), b"|"),
    ".dat": (TableForm("csv", "::", header=False, names=("movieId", "title", "genres")), b"|"),
    ".item": (TableForm("csv", "\t", quote=""), b" "),
}


def first_genres(items: Path, tally: Tally) -> Iterator[tuple[int, bytes]]:
    """Yields films with their first genre, in the order of the file; a film without one has `UNKNOWN`.

    Raises:
        InputError: The file cannot be read, or a file beside it that it needs.
    """
    if items.name == "u.item":
        yield from _flagged(items, tally)
    elif items.name == METADATA:
        yield from _of_metadata(items, tally)
    else:
        form, separator = _TABLES[items.suffix]
        for film, genres in _pairs(items, form, (_ITEM, _GENRES), tally):
            genres = genres or b""
            first = genres if genres == _NO_GENRES else genres.strip().split(separator)[0].strip()
            yield film, first or UNKNOWN


def _pairs(path: Path, form: TableForm, columns: tuple[Column, Column], tally: Tally) -> Iterator[tuple[Any, Any]]:
    """Yields two columns, row by row."""
    names = column_names(path, form)
    wanted = {find_column(path, names, column): column for column in columns}
    for first, second in typed_rows(path, read_table(path, list(wanted), form), wanted, tally):
        yield from zip(first.tolist(), second.tolist(), strict=True)


def _flagged(items: Path, tally: Tally) -> Iterator[tuple[int, bytes]]:
    """Reads u.item, which has one flag for each genre."""
    names = _flag_names(items.with_name("u.genre"), tally)
    form = TableForm("csv", "|", quote="", header=False, names=(*_BEFORE_FLAGS, *names))
    columns: Mapping[str, Column] = {_ITEM.name: _ITEM} | {name: Column(name, high=1, expected="0 or 1") for name in names}
    for films, *flags in typed_rows(items, read_table(items, list(columns), form), columns, tally):
        table = np.stack([*flags, np.ones_like(films)], axis=1)  # (films, genres + 1); the last column means unknown
        genres = [*(name.encode() for name in names), UNKNOWN]
        yield from zip(films.tolist(), [genres[place] for place in table.argmax(axis=1)], strict=True)


def _flag_names(path: Path, tally: Tally) -> tuple[str, ...]:
    """Returns the genres in the order of u.item's flags: from u.genre (name|place), or GroupLens' own where that file is missing."""
    if not path.is_file():
        return _FLAGS
    columns = Column("genre", ("genre",), "bytes", expected="text in UTF-8"), Column("its place", ("place",))
    form = TableForm("csv", "|", quote="", header=False, names=("genre", "place"))
    named = {place: name.decode() for name, place in _pairs(path, form, columns, tally)}
    if sorted(named) != list(range(len(named))):
        raise InputError(f"{path} does not number its genres 0, 1, 2, …: download it again.")
    return tuple(named[place] for place in range(len(named)))


def _of_metadata(metadata: Path, tally: Tally) -> Iterator[tuple[int, bytes]]:
    """Reads movies_metadata.csv, whose films have the ids of TMDB: links.csv or links_small.csv gives them the ids of MovieLens."""
    links = next((path for name in ("links.csv", "links_small.csv") if (path := metadata.with_name(name)).is_file()), None)
    if links is None:
        raise InputError(
            f"{metadata.with_name('links.csv')} is missing: the ids of {METADATA} are those of TMDB, and only links.csv or links_small.csv "
            "says which films of the ratings they are; put it there."
        )
    genres: dict[int, bytes] = {}
    tmdb_id = Column("id", ("id",))
    for film, listed in _pairs(metadata, TableForm(), (tmdb_id, _GENRES), tally):
        genres.setdefault(film, _first_name(listed))
    for film, tmdb in _pairs(links, TableForm(), (_ITEM, _TMDB_ID), tally):
        yield film, UNKNOWN if np.isnan(tmdb) else genres.get(int(tmdb), UNKNOWN)


def _first_name(listed: bytes | None) -> bytes:
    """Returns the first genre of a text such as [{'id': 16, 'name': 'Animation'}]; `UNKNOWN` where it is none."""
    try:
        name = str(ast.literal_eval((listed or b"").decode())[0]["name"]).encode()
    except (ValueError, SyntaxError, LookupError, TypeError, MemoryError, RecursionError):
        return UNKNOWN
    return UNKNOWN if breaks_line(name) or not name else name
