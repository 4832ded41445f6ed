"""Reads MovieLens in all its forms: GroupLens' releases from 100K to the latest, and RecBole's atomic files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.text_lines import Row, header_of, read_lines, read_rows, require_rows
from pipeline.datasets.sources.typed_columns import Column, find_column, time_column, typed_batches

UNKNOWN = "(unknown)"
_NO_GENRES = b"(no genres listed)"
_LIKED = 4  # least rating of a click

_ITEM = Column("movieId", ("movieid", "itemid", "id"))
_RATINGS = (
    Column("userId", ("userid",)),
    _ITEM,
    Column("rating", ("rating",), "float", 0.5, 5.0, "a number from 0.5 to 5"),
    time_column("timestamp", "timestamp"),
)
_ITEMS = (_ITEM, Column("genres", ("genres", "genre", "class"), "bytes", expected="text in UTF-8"))

_FLAG_PLACE = 5  # the place of the first genre's flag in u.item
_FLAGS = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


class _Form(NamedTuple):
    """The two files of a release. Without a header, the columns are those of `_RATINGS`, and id, title, genres, in this order."""

    ratings: str  # name or pattern
    items: str  # name; * stands for the stem of the ratings' file
    separator: str  # between the values of a rating
    item_separator: str  # between the values of an item
    genre_separator: str
    has_header: bool


_FORMS = (
    _Form("ratings.csv", "movies.csv", ",", ",", "|", has_header=True),  # 20M, 25M, 32M, latest
    _Form("ratings.dat", "movies.dat", "::", "::", "|", has_header=False),  # 1M, 10M
    _Form("u.data", "u.item", "\t", "|", "", has_header=False),  # 100K: one flag for each genre
    _Form("*.inter", "*.item", "\t", "\t", " ", has_header=True),  # RecBole
)
_KNOWN = ", ".join(form.ratings.replace("*", "NAME") for form in _FORMS)


@dataclass(frozen=True)
class MovieLens:
    """The ratings of a MovieLens release as interactions: raw int64 ids, categories as bytes, times in unix seconds.

    A rating of 4 or more is a click. An item that has no row in the file of items, or no genre in its row, has the category "(unknown)".

    Args:
        folder: The folder of a release, or, where the folder holds several, the file of ratings. Ratings and items are ratings.csv and
            movies.csv (20M, 25M, 32M, latest), ratings.dat and movies.dat (1M, 10M), u.data and u.item (100K), or NAME.inter and
            NAME.item (RecBole). In headers, case and underscores do not matter, and the movie's column may be called `Id` or `item_id`.
    """

    folder: Path

    name = "movielens"
    schema = pa.schema([(USER, pa.int64()), (ITEM, pa.int64()), (CATEGORY, pa.binary()), (LABEL, pa.int64()), (TIMESTAMP, pa.int64())])
    has_negatives = True
    history: ClassVar[Literal["earlier"]] = "earlier"
    repeats: ClassVar[Literal["latest"]] = "latest"

    @property
    def rules(self) -> dict[str, str]:
        return {
            "label": f"rating >= {_LIKED} is 1, else 0; each rating is one impression",
            "category": f'the first genre that the items\' file lists ("(no genres listed)" is one too, and so is "unknown" in 100K, '
            f"whose genres are flags in the order of u.item); {UNKNOWN} where it lists none",
        }

    def files(self) -> list[Path]:
        """Returns the file of ratings.

        Raises:
            InputError: The file of ratings or of items is missing, or there are several files of ratings.
        """
        ratings = self._ratings()
        items = _items_of(ratings)
        if not items.is_file():
            raise InputError(f"{items} is missing: name the folder of a MovieLens release that has {ratings.name} and {items.name}.")
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
        _form_of(self.folder)
        return self.folder

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the ratings of a file, in its order. The genres of all items are held in memory.

        With `tally.skip_broken`, an item on a broken line counts as an item without a line. `tally.broken` names those lines, and
        `tally.notes` counts them, since they are not interactions.

        Raises:
            InputError: A file, a column or a row is missing or wrong.
        """
        form, categories = _form_of(file), _categories(file, tally)
        places = None if form.has_header else range(len(_RATINGS))
        for user, item, rating, timestamp in _read(file, form.separator, _RATINGS, places, tally):
            yield pa.RecordBatch.from_pydict(
                {
                    USER: user,
                    ITEM: item,
                    CATEGORY: [categories.get(key, UNKNOWN.encode()) for key in item.tolist()],
                    LABEL: (rating >= _LIKED).astype(np.int64),
                    TIMESTAMP: timestamp,
                },
                schema=self.schema,
            )


def _form_of(ratings: Path) -> _Form:
    for form in _FORMS:
        if ratings.match(form.ratings):
            return form
    raise InputError(f"{ratings} is not a file of ratings ({_KNOWN}): name one, or the folder of a MovieLens release.")


def _items_of(ratings: Path) -> Path:
    return ratings.with_name(_form_of(ratings).items.replace("*", ratings.stem))


def _read(path: Path, separator: str, columns: Sequence[Column], places: Sequence[int] | None, tally: Tally) -> Iterator[list[np.ndarray]]:
    """Yields batches of the columns. Without a header, `places` says where they are in a row; the last place is the row's last.

    Text that is not UTF-8 is refused in these columns only, so the Latin-1 titles of 100K and 1M do no harm.
    """
    rows = _split(path, separator)
    if places is None:
        header = [name.split(":")[0] for name in header_of(path, rows)]  # RecBole: name:type
        places, width = [find_column(path, header, column) for column in columns], len(header)
    else:
        width = places[-1] + 1
    return typed_batches(path, require_rows(path, rows), width, list(zip(places, columns, strict=True)), tally)


def _split(path: Path, separator: str) -> Iterator[tuple[int, Row]]:
    """Yields the number and the values of each line; only CSV has quotes."""
    if separator == ",":
        return read_rows(path)
    return ((number, line.split(separator)) for number, line in read_lines(path))


def _categories(ratings: Path, tally: Tally) -> dict[int, bytes]:
    """Returns the first genre of each item; where an item is repeated, its first row counts."""
    form, items = _form_of(ratings), _items_of(ratings)
    own_tally = Tally(tally.skip_broken)
    pairs = _flagged_genres(items, form, own_tally) if items.name == "u.item" else _listed_genres(items, form, own_tally)
    categories: dict[int, bytes] = {}
    for item, genre in pairs:
        categories.setdefault(item, genre)
    tally.note_side_file(items, own_tally)
    return categories


def _listed_genres(items: Path, form: _Form, tally: Tally) -> Iterator[tuple[int, bytes]]:
    separator = form.genre_separator.encode()
    for ids, genres in _read(items, form.item_separator, _ITEMS, None if form.has_header else (0, 2), tally):
        for item, listed in zip(ids.tolist(), genres, strict=True):
            first = listed if listed == _NO_GENRES else listed.strip().split(separator)[0].strip()
            yield item, first or UNKNOWN.encode()


def _flagged_genres(items: Path, form: _Form, tally: Tally) -> Iterator[tuple[int, bytes]]:
    names = _flag_names(items.with_name("u.genre"), tally)
    columns = (_ITEM, *(Column(name, high=1, expected="0 or 1") for name in names))
    places = (0, *range(_FLAG_PLACE, _FLAG_PLACE + len(names)))
    for ids, *flags in _read(items, form.item_separator, columns, places, tally):
        table = np.stack([*flags, np.ones_like(ids)], axis=1)  # (items, genres + 1); the last column means unknown
        yield from zip(ids.tolist(), [(*names, UNKNOWN)[place].encode() for place in table.argmax(axis=1)], strict=True)


def _flag_names(path: Path, tally: Tally) -> Sequence[str]:
    """Returns the genres in the order of u.item's flags: from u.genre (name|place), or GroupLens' own where that file is missing."""
    if not path.is_file():
        return _FLAGS
    columns = (Column("genre", dtype="bytes", expected="text in UTF-8"), Column("its place"))
    named = {int(place): name.decode() for batch in _read(path, "|", columns, (0, 1), tally) for name, place in zip(*batch, strict=True)}
    if sorted(named) != list(range(len(named))):
        raise InputError(f"{path} does not number its genres 0, 1, 2, …: download it again.")
    return [named[place] for place in range(len(named))]
