"""MovieLens in its usual form, written by hand: labels, categories, genres, years, headers; and the real ml-latest-small if it is there."""

import csv
import os
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.movielens import MovieLens
from tests.pipeline.datasets.sources.movielens_files import INTERACTIONS, MOVIES, RATINGS, fields, folder, read

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
REAL = SHARED / "data" / "ml-latest-small"


def test_interactions_worked_out_by_hand(tmp_path: Path) -> None:
    tally = Tally()
    assert read(folder(tmp_path / "ml"), tally) == INTERACTIONS
    assert tally == Tally()


def test_schema_and_rules() -> None:
    source = MovieLens(Path("ml"))
    names = ("user_id", "candidate_item_id", "candidate_category_id", "label", "timestamp")
    types = (pa.int64(), pa.int64(), pa.binary(), pa.int64(), pa.int64())
    assert source.schema == pa.schema(list(zip(names, types, strict=True)))
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("movielens", True, "earlier", "latest")
    assert {"label", "category"} <= set(source.rules)


def test_all_genres_and_the_year_are_item_fields(tmp_path: Path) -> None:
    """(no genres listed) is no genre; the year is the last number in brackets; a film without a row has neither."""
    movies = [*MOVIES[:-1], "9,Not rated (2001),Action", "3,Again (1900),War"]
    assert fields(folder(tmp_path / "ml", movies=movies)) == {
        0: (["Drama"], 1990),
        1: (["Comedy", "Drama", "Romance"], 1995),
        2: ([], None),
        3: (["Film-Noir", "Crime"], None),
        4: ([], None),
    }
    assert [row[:5] for row in read(tmp_path / "ml")] == [
        (*row[:2], b"(unknown)", *row[3:]) if row[1] == 4 else row for row in INTERACTIONS
    ]
    rules = MovieLens(tmp_path, item_fields=True).rules
    assert {"candidate_genres", "candidate_year"} <= rules.keys() and "candidate_genres" not in MovieLens(tmp_path).rules


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Zero (1990)", 1990),
        ("Zero (1990) ", 1990),
        ("Zero (1990)(2001)", 2001),
        ("Babylon 5", None),
        ("1984", None),
        ("Death Note (2006–2007)", 2006),
        ("Series (2007-)", 2007),
        ("Two (a. k. a. 1990)", None),
    ],
)
def test_years_of_titles(tmp_path: Path, title: str, year: int | None) -> None:
    assert fields(folder(tmp_path / "ml", movies=[MOVIES[0], f"0,{title},Drama"]))[0] == (["Drama"], year)


def test_label_is_1_from_a_rating_of_4(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,0,3.5,1", "1,1,4,2", "1,2,4.0,3", "1,3,0.5,4"]
    assert [row[3] for row in read(folder(tmp_path / "ml", ratings))] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        ("userId,Id,rating,timestamp", "Id,title,genres"),
        ("user_id,item_id,rating,timestamp", "item_id,title,genres"),
        ("userId,itemId,rating,timestamp", "itemId,title,genres"),
        ("UserID,MovieID,Rating,Timestamp", "MovieID,Title,Genres"),
        ("USER_ID,MOVIE_ID,RATING,TIME_STAMP", '"movie_id","title","genres"'),
        ("\ufeffuserId,movieId,rating,timestamp", "\ufeffmovieId,title,genres"),
    ],
)
def test_header_variants(tmp_path: Path, ratings: str, movies: str) -> None:
    assert read(folder(tmp_path / "ml", [ratings, *RATINGS[1:]], [movies, *MOVIES[1:]])) == INTERACTIONS


def test_columns_in_another_order_blank_lines_and_more_columns(tmp_path: Path) -> None:
    ratings = ["timestamp,note,rating,movieId,userId", "", "100,x,4.0,1,7", ""]
    assert read(folder(tmp_path / "ml", ratings)) == [(7, 1, b"Comedy", 1, 100)]


def test_windows_line_ends(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml", [line + "\r" for line in RATINGS], [line + "\r" for line in MOVIES])
    assert read(source) == INTERACTIONS


def test_line_ends_that_are_cr_alone(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "ratings.csv").write_bytes("\r".join(RATINGS).encode())
    assert read(source) == INTERACTIONS


def test_repeated_ratings_are_left_to_the_import(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,2,5,30", "1,2,1,20", "1,2,1,20"]
    assert [row[4] for row in read(folder(tmp_path / "ml", ratings))] == [30, 20, 20]


def test_items_without_row_or_genre_are_unknown(tmp_path: Path) -> None:
    movies = [MOVIES[0], "1,One,", "3,Three,Crime|Drama", "3,Three again,War"]
    ratings = [RATINGS[0], "1,0,5,1", "1,1,5,2", "1,3,5,3", "1,4,5,4", "2,4,5,5"]
    categories = [row[2] for row in read(folder(tmp_path / "ml", ratings, movies))]
    assert categories == [b"(unknown)", b"(unknown)", b"Crime", b"(unknown)", b"(unknown)"]


def test_categories_may_be_any_text(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml", [RATINGS[0], "1,0,5,1"], [MOVIES[0], "0,Amélie, Comédie |Drame"])
    assert read(source)[0][2] == "Comédie".encode()


def test_large_ids(tmp_path: Path) -> None:
    largest = 2**63 - 1
    assert read(folder(tmp_path / "ml", [RATINGS[0], f"{largest},{largest},5,0"])) == [(largest, largest, b"(unknown)", 1, 0)]


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.datasets.tables.raw_rows.BATCH_SIZE", 2)
    source = MovieLens(folder(tmp_path / "ml"))
    assert [batch.num_rows for batch in source.read(tmp_path / "ml" / "ratings.csv", Tally())] == [2, 2, 2]
    assert read(tmp_path / "ml") == INTERACTIONS


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here: set DIN_SHARED to the folder that has data/ml-latest-small")
def test_ml_latest_small() -> None:
    """The counts are those of GroupLens; each rating is as in a plain loop over the CSV."""
    with (REAL / "movies.csv").open(encoding="utf-8", newline="") as file:
        genre = {row["Id"]: row["genres"].split("|")[0].encode() for row in csv.DictReader(file)}
    with (REAL / "ratings.csv").open(newline="") as file:
        expected = [
            (int(row["userId"]), int(row["Id"]), genre[row["Id"]], int(float(row["rating"]) >= 4), int(row["timestamp"]))
            for row in csv.DictReader(file)
        ]
    rows = read(REAL)
    assert rows == expected
    users, items, categories, labels, times = (list(column) for column in zip(*rows, strict=True))
    assert (len(rows), len(set(users)), len(set(items)), sum(labels)) == (100_836, 610, 9_724, 48_580)
    assert (min(times), max(times)) == (828_124_615, 1_537_799_250)
    assert b"(unknown)" not in categories
