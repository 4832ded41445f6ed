"""MovieLens written by hand, in the forms of its releases, and what is read from it, for tests."""

from pathlib import Path

import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.movielens import MovieLens

MOVIES = [
    "movieId,title,genres",
    "0,Zero (1990),Drama",
    '1,"American President, The (1995)",Comedy|Drama|Romance',
    "2,Two,(no genres listed)",
    "3,Three,Film-Noir|Crime",
    "4,Four,Action",
]
RATINGS = [
    "userId,movieId,rating,timestamp",
    "7,3,4.0,300",
    "7,1,5.0,300",
    "7,0,4.0,100",
    "7,2,3.5,200",
    "7,4,4.5,400",
    "0,4,2.0,250",
]
INTERACTIONS = [  # user, item, category, label, time
    (7, 3, b"Film-Noir", 1, 300),
    (7, 1, b"Comedy", 1, 300),
    (7, 0, b"Drama", 1, 100),
    (7, 2, b"(no genres listed)", 0, 200),
    (7, 4, b"Action", 1, 400),
    (0, 4, b"Action", 0, 250),
]
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)

Rows = list[tuple[int | bytes, ...]]


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("".join(line + "\n" for line in lines).encode(encoding))


def folder(path: Path, ratings: list[str] = RATINGS, movies: list[str] = MOVIES) -> Path:
    write(path / "ratings.csv", ratings)
    write(path / "movies.csv", movies)
    return path


def u_item(item: int, title: str, *genres: str, names: tuple[str, ...] = GENRES) -> str:
    return "|".join([str(item), title, "01-Jan-1995", "", "http://x", *(str(int(name in genres)) for name in names)])


def ml_100k(path: Path, items: list[str]) -> Path:
    write(path / "u.data", ["196\t242\t3\t881250949", "186\t302\t4\t891717742", "196\t302\t5\t881250950", "186\t9\t5\t891717743"])
    write(path / "u.item", items, "latin-1")
    return path


def atomic(path: Path, ratings: list[str], items: list[str]) -> Path:
    write(path / "ml-100k.inter", ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *ratings])
    write(path / "ml-100k.item", ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", *items])
    return path


def read(source: Path, tally: Tally | None = None) -> Rows:
    movielens = MovieLens(source)
    (file,) = movielens.files()
    batches = list(movielens.read(file, tally := tally or Tally()))
    assert all(batch.schema == movielens.schema for batch in batches)
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def fields(source: Path, tally: Tally | None = None) -> dict[int, tuple[list[str], float | None]]:
    """Genres and year of each film that was rated."""
    movielens = MovieLens(source, item_fields=True)
    (file,) = movielens.files()
    found = {}
    for batch in movielens.read(file, tally or Tally()):
        assert batch.schema == movielens.schema
        for row in batch.to_pylist():
            found[row["candidate_item_id"]] = ([g.decode() for g in row["candidate_genres"] or []], row["candidate_year"])
    return found


def refused(source: Path) -> str:
    with pytest.raises(InputError) as error:
        read(source)
    return str(error.value)
