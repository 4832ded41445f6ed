"""Reads MovieLens in all its forms: GroupLens' releases from 100K to the latest, Kaggle's copies, and RecBole's atomic files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.fields_by_id import FieldsById
from pipeline.datasets.sources.films import METADATA, NO_GENRES, UNKNOWN, Film, read_films
from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.typed_columns import Column, find_column, time_column, typed_rows
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm

_LIKED = 4  # least rating of a click
_RATINGS = (
    Column("userId", ("userid",)),
    Column("movieId", ("movieid", "itemid", "id")),
    Column("rating", ("rating",), "float", 0.5, 5.0, "a number from 0.5 to 5"),
    time_column("timestamp", "timestamp"),
)
GENRES, YEAR = "candidate_genres", "candidate_year"
_FIELDS = [(GENRES, pa.list_(pa.binary())), (YEAR, pa.float32())]
_NAMES = tuple(column.name for column in _RATINGS)


class _Form(NamedTuple):
    """The files of a release."""

    ratings: str  # name or pattern
    items: tuple[str, ...]  # possible names; * stands for the stem of the ratings' file
    table: TableForm  # of the ratings


_FORMS = (
    _Form("ratings.csv", ("movies.csv", METADATA), TableForm()),  # 20M, 25M, 32M, latest
    _Form("ratings_small.csv", (METADATA, "movies.csv"), TableForm()),  # Kaggle's "The Movies Dataset"
    _Form("rating.csv", ("movie.csv",), TableForm()),  # Kaggle's 20M
    _Form("ratings.dat", ("movies.dat",), TableForm("csv", "::", header=False, names=_NAMES)),  # 1M, 10M
    _Form("u.data", ("u.item",), TableForm("csv", "\t", quote="", header=False, names=_NAMES)),  # 100K: one flag for each genre
    _Form("*.inter", ("*.item",), TableForm("csv", "\t", quote="")),  # RecBole
)
_KNOWN = ", ".join(form.ratings.replace("*", "NAME") for form in _FORMS)


@dataclass(frozen=True)
class MovieLens:
    """The ratings of a MovieLens release as interactions: raw int64 ids, categories as bytes, times in unix seconds.

    A rating of 4 or more is a click. An item that has no row in the file of items, or no genre in its row, has the category "(unknown)".

    Args:
        folder: The folder of a release, or, where the folder holds several, the file of ratings. Ratings and items are ratings.csv and
            movies.csv (20M, 25M, 32M, latest), ratings.dat and movies.dat (1M, 10M), u.data and u.item (100K), rating.csv and movie.csv, or
            ratings_small.csv or ratings.csv with movies_metadata.csv and links (Kaggle), or NAME.inter and NAME.item (RecBole). In headers,
            case and underscores do not matter, and the movie's column may be called `Id` or `item_id`.
        item_fields: Whether all genres are read, as tags, and the year.
    """

    folder: Path
    item_fields: bool = False

    name = "movielens"
    has_negatives = True
    history: ClassVar[Literal["earlier"]] = "earlier"
    repeats: ClassVar[Literal["latest"]] = "latest"

    @property
    def schema(self) -> pa.Schema:
        plain = [(USER, pa.int64()), (ITEM, pa.int64()), (CATEGORY, pa.binary()), (LABEL, pa.int64()), (TIMESTAMP, pa.int64())]
        return pa.schema(plain + _FIELDS * self.item_fields)

    @property
    def rules(self) -> dict[str, str]:
        fields = {
            GENRES: "all genres that the items' file lists, in its order; none where it says so",
            YEAR: "the year in brackets at the end of the title, or that of the column of the year",
        }
        return {
            "label": f"rating >= {_LIKED} is 1, else 0; each rating is one impression",
            "time": "unix seconds; times that are written out are in UTC",
            "category": f'the first genre that the items\' file lists ("(no genres listed)" is one too, and so is "unknown" in 100K, '
            f"whose genres are flags in the order of u.item); {UNKNOWN.decode()} where it lists none",
            **(fields if self.item_fields else {}),
        }

    def files(self) -> list[Path]:
        """Returns the file of ratings.

        Raises:
            InputError: The file of ratings or of items is missing, or there are several files of ratings.
        """
        ratings = self._ratings()
        _items_of(ratings)
        return [ratings]

    def _ratings(self) -> Path:
        if self.folder.is_dir():
            found = [path for form in _FORMS for path in sorted(self.folder.glob(form.ratings)) if path.is_file()]
            if len(found) > 1:
                raise InputError(f"{self.folder} holds several files of ratings ({', '.join(p.name for p in found)}): name one of them.")
            if not found:
                raise InputError(f"{self.folder} holds no file of ratings ({_KNOWN}): name the folder of a MovieLens release.")
            return found[0]
        if not self.folder.exists():
            raise InputError(f"{self.folder} is missing: name the folder of a MovieLens release, or the file of ratings in it.")
        return self.folder

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the ratings of a file, in its order. The genres of all items are held in memory.

        With `tally.skip_broken`, an item on a broken line counts as an item without a line. `tally.broken` names those lines, and
        `tally.notes` counts them, since they are not interactions.

        Raises:
            InputError: A file, a column or a row is missing or wrong.
        """
        form, films = _form_of(file).table, _films(_items_of(file), tally, self.item_fields)
        categories = {film.id: film.genres[0] for film in films}
        fields = _fields(films) if self.item_fields else None
        names = column_names(file, form)
        columns = {find_column(file, names, column): column for column in _RATINGS}
        for user, item, rating, timestamp in typed_rows(file, read_table(file, list(columns), form), columns, tally):
            values = {
                USER: user,
                ITEM: item,
                CATEGORY: [categories.get(key, UNKNOWN) for key in item.tolist()],
                LABEL: (rating >= _LIKED).astype(np.int64),
                TIMESTAMP: timestamp,
                **(fields.fields_of(pa.array(item)) if fields else {}),
            }
            yield pa.RecordBatch.from_pydict(values, schema=self.schema)


def _form_of(ratings: Path) -> _Form:
    for form in _FORMS:
        if ratings.match(form.ratings):
            return form
    raise InputError(f"{ratings} is not a file of ratings ({_KNOWN}): name one, or the folder of a MovieLens release.")


def _items_of(ratings: Path) -> Path:
    """Returns the file of items beside the ratings."""
    paths = [ratings.with_name(name.replace("*", ratings.stem)) for name in _form_of(ratings).items]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        names = " or ".join(path.name for path in paths)
        raise InputError(f"{paths[0]} is missing: name the folder of a MovieLens release that has {ratings.name} and {names}.")
    return found


def _films(items: Path, tally: Tally, with_year: bool) -> list[Film]:
    """Returns the films; where one is repeated, its first row counts."""
    own_tally = Tally(tally.skip_broken)
    films: dict[int, Film] = {}
    for film in read_films(items, own_tally, with_year):
        films.setdefault(film.id, film)
    tally.note_side_file(items, own_tally)
    return list(films.values())


def _fields(films: list[Film]) -> FieldsById:
    genres = [[genre for genre in film.genres if genre not in NO_GENRES] for film in films]
    columns = {GENRES: genres, YEAR: [film.year for film in films]}
    return FieldsById(np.array([film.id for film in films], np.int64), pa.Table.from_pydict(columns, schema=pa.schema(_FIELDS)))
