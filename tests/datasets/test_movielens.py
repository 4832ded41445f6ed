"""Hand-worked MovieLens folders, every kind of bad input, and the real ml-latest-small where it is at hand."""

import csv
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.datasets.movielens import import_movielens
from pipeline.datasets.tfrecord import read_batches
from pipeline.errors import InputError

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[3] / "shared"))
REAL = SHARED / "data" / "ml-latest-small"
SPLITS = ("train", "validation", "eval")

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
    "7,3,4.0,300",  # as late as the next: neither is in the other's history
    "7,1,5.0,300",
    "7,0,4.0,100",
    "7,2,3.5,200",
    "7,4,4.5,400",
    "0,4,2.0,250",
]

Row = dict[str, Any]


def folder(path: Path, ratings: list[str] = RATINGS, movies: list[str] = MOVIES) -> Path:
    path.mkdir(exist_ok=True)
    (path / "ratings.csv").write_text("".join(line + "\n" for line in ratings))
    (path / "movies.csv").write_text("".join(line + "\n" for line in movies))
    return path


def batches(out: Path, split: str) -> list[pa.RecordBatch]:
    return [batch for path in sorted((out / split).iterdir()) for batch in read_batches(path)]


def to_rows(batch: pa.RecordBatch) -> list[Row]:
    """Scalars as values, histories as lists."""
    return [{k: (v or []) if k.startswith("historical_") else v[0] for k, v in row.items()} for row in batch.to_pylist()]


def impressions(out: Path) -> dict[str, list[Row]]:
    """Per split, in the order written."""
    return {split: [row for batch in batches(out, split) for row in to_rows(batch)] for split in SPLITS}


def events(row: Row) -> list[tuple[int, bytes, int]]:
    return list(zip(row["historical_item_ids"], row["historical_category_ids"], row["historical_timestamps"], strict=True))


def refused(source: Path) -> str:
    """The message with which `source` is refused; nothing may be left behind."""
    out = source.parent / "out"
    with pytest.raises(InputError) as error:
        import_movielens(source, out)
    assert not out.exists() and not out.with_name("out.part").exists()
    return str(error.value)


def test_impressions_worked_out_by_hand(tmp_path: Path) -> None:
    import_movielens(folder(tmp_path / "ml"), tmp_path / "out")
    rows = impressions(tmp_path / "out")
    scalars = ("user_id", "candidate_item_id", "candidate_category_id", "timestamp", "label")
    assert [tuple(row[k] for k in scalars) for row in rows["train"]] == [
        (7, 0, b"Drama", 100, 1),
        (7, 2, b"(no genres listed)", 200, 0),
        (0, 4, b"Action", 250, 0),
        (7, 1, b"Comedy", 300, 1),
        (7, 3, b"Film-Noir", 300, 1),
    ]
    assert [events(row) for row in rows["train"]] == [[], [(0, b"Drama", 100)], [], [(0, b"Drama", 100)], [(0, b"Drama", 100)]]
    assert rows["validation"] == []
    assert [tuple(row[k] for k in scalars) for row in rows["eval"]] == [(7, 4, b"Action", 400, 1)]
    assert events(rows["eval"][0]) == [(0, b"Drama", 100), (1, b"Comedy", 300), (3, b"Film-Noir", 300)]
    assert set(rows["eval"][0]) == {*scalars, "historical_item_ids", "historical_category_ids", "historical_timestamps"}


def test_manifest(tmp_path: Path) -> None:
    manifest = import_movielens(folder(tmp_path / "ml"), tmp_path / "out", command="din import movielens ml")
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())
    rules = manifest.pop("rules")
    assert {"label", "history", "category", "split"} <= set(rules) and all(isinstance(text, str) for text in rules.values())
    assert manifest == {
        "source": "movielens",
        "command": "din import movielens ml",
        "split": "last",
        "users": 2,
        "items": 5,
        "items_without_category": 0,
        "duplicate_ratings_dropped": 0,
        "time_range": {"first": 100, "last": 400},
        "split_time_ranges": {"train": {"first": 100, "last": 300}, "validation": None, "eval": {"first": 400, "last": 400}},
        "base_rate": {"train": 0.6, "validation": None, "eval": 1.0},
        "examples": {"train": 5, "validation": 0, "eval": 1},
    }


def test_history_keeps_the_most_recent(tmp_path: Path) -> None:
    import_movielens(folder(tmp_path / "ml"), tmp_path / "out", history_length=2)
    assert impressions(tmp_path / "out")["eval"][0]["historical_item_ids"] == [1, 3]


def test_history_excludes_other_users(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,0,5,10", "2,1,5,20", "1,2,5,30", "2,3,5,40"]
    import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out")
    assert [row["historical_item_ids"] for row in impressions(tmp_path / "out")["train"]] == [[], [], [0], [1]]


def test_label_is_1_from_a_rating_of_4(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,0,3.5,1", "1,1,4,2", "1,2,4.0,3", "1,3,0.5,4"]
    import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out")
    assert [row["label"] for row in impressions(tmp_path / "out")["train"]] == [0, 1, 1, 0]


@pytest.mark.parametrize(("size", "train", "validation"), [(1, 1, 0), (4, 4, 0), (5, 4, 0), (9, 8, 0), (10, 7, 1), (25, 18, 2)])
def test_last_split_per_user(tmp_path: Path, size: int, train: int, validation: int) -> None:
    """A second user with 10 ratings long before must be cut on their own."""
    mine = [f"1,{i},5,{1000 + i}" for i in reversed(range(size))]
    other = [f"2,{i},5,{i}" for i in range(10)]
    import_movielens(folder(tmp_path / "ml", [RATINGS[0], *mine, *other]), tmp_path / "out")
    items = {s: [row["candidate_item_id"] for row in rows if row["user_id"] == 1] for s, rows in impressions(tmp_path / "out").items()}
    cut = train + validation
    assert items == {"train": [*range(train)], "validation": [*range(train, cut)], "eval": [*range(cut, size)]}


def test_last_split_breaks_ties_by_item(tmp_path: Path) -> None:
    ratings = [RATINGS[0], *(f"1,{item},5,9" for item in (4, 0, 3, 1, 2))]
    import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out")
    assert [row["candidate_item_id"] for row in impressions(tmp_path / "out")["eval"]] == [4]


@pytest.mark.parametrize(
    ("times", "train", "validation", "evaluation"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7], [8], [9, 10]),
        ([1, 2, 3, 4, 5, 6, 7, 7, 9, 10], [1, 2, 3, 4, 5, 6, 7, 7], [], [9, 10]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 8, 10], [1, 2, 3, 4, 5, 6, 7], [8, 8], [10]),
        ([1] * 10, [1] * 10, [], []),
    ],
)
def test_time_split(tmp_path: Path, times: list[int], train: list[int], validation: list[int], evaluation: list[int]) -> None:
    """Whoever rates: here every user has 2 ratings, which "last" would put into train."""
    ratings = [RATINGS[0], *(f"{i % 5},{i},5,{time}" for i, time in enumerate(times))]
    manifest = import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out", split="time")
    rows = impressions(tmp_path / "out")
    assert [[row["timestamp"] for row in rows[s]] for s in SPLITS] == [train, validation, evaluation]
    assert manifest["split"] == "time" and "cuts in time" in manifest["rules"]["split"]


def test_eval_history_reaches_into_train(tmp_path: Path) -> None:
    ratings = [RATINGS[0], *(f"1,{i},5,{i}" for i in range(10))]
    import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out", split="time")
    assert impressions(tmp_path / "out")["eval"][-1]["historical_item_ids"] == [*range(9)]


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        ("userId,Id,rating,timestamp", "Id,title,genres"),
        ("user_id,item_id,rating,timestamp", "item_id,title,genres"),
        ("UserID,MovieID,Rating,Timestamp", "MovieID,Title,Genres"),
        ("USER_ID,MOVIE_ID,RATING,TIME_STAMP", '"movie_id","title","genres"'),
        ("\ufeffuserId,movieId,rating,timestamp", "\ufeffmovieId,title,genres"),
    ],
)
def test_header_variants(tmp_path: Path, ratings: str, movies: str) -> None:
    import_movielens(folder(tmp_path / "ml", [ratings, *RATINGS[1:]], [movies, *MOVIES[1:]]), tmp_path / "variant")
    import_movielens(folder(tmp_path / "ml"), tmp_path / "plain")
    assert impressions(tmp_path / "variant") == impressions(tmp_path / "plain")


def test_columns_in_another_order_blank_lines_and_more_columns(tmp_path: Path) -> None:
    ratings = ["timestamp,note,rating,movieId,userId", "", "100,x,4.0,1,7", ""]
    import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out")
    (row,) = impressions(tmp_path / "out")["train"]
    assert (row["user_id"], row["candidate_item_id"], row["timestamp"], row["label"]) == (7, 1, 100, 1)


def test_latest_of_duplicate_ratings_counts(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,2,5,30", "1,2,1,20", "1,3,1,20", "1,3,5,20", "2,2,1,10"]
    manifest = import_movielens(folder(tmp_path / "ml", ratings), tmp_path / "out")
    rows = impressions(tmp_path / "out")["train"]
    assert [(r["user_id"], r["candidate_item_id"], r["timestamp"], r["label"]) for r in rows] == [
        (2, 2, 10, 0),
        (1, 3, 20, 1),
        (1, 2, 30, 1),
    ]
    assert manifest["duplicate_ratings_dropped"] == 2


def test_items_without_row_or_genre_are_unknown(tmp_path: Path) -> None:
    movies = [MOVIES[0], "1,One,", "3,Three,Crime|Drama", "3,Three again,War"]
    ratings = [RATINGS[0], "1,0,5,1", "1,1,5,2", "1,3,5,3", "1,4,5,4", "2,4,5,5"]
    manifest = import_movielens(folder(tmp_path / "ml", ratings, movies), tmp_path / "out")
    categories = [row["candidate_category_id"] for row in impressions(tmp_path / "out")["train"]]
    assert categories == [b"(unknown)", b"(unknown)", b"Crime", b"(unknown)", b"(unknown)"]
    assert manifest["items_without_category"] == 3


def test_categories_may_be_any_text(tmp_path: Path) -> None:
    import_movielens(folder(tmp_path / "ml", [RATINGS[0], "1,0,5,1"], [MOVIES[0], "0,Amélie, Comédie |Drame"]), tmp_path / "out")
    assert impressions(tmp_path / "out")["train"][0]["candidate_category_id"] == "Comédie".encode()


def test_large_ids(tmp_path: Path) -> None:
    largest = 2**63 - 1
    import_movielens(folder(tmp_path / "ml", [RATINGS[0], f"{largest},{largest},5,0"]), tmp_path / "out")
    (row,) = impressions(tmp_path / "out")["train"]
    assert (row["user_id"], row["candidate_item_id"], row["timestamp"]) == (largest, largest, 0)


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_movielens(folder(tmp_path / "ml"), tmp_path / "whole")
    monkeypatch.setattr("pipeline.datasets.movielens.BATCH_SIZE", 2)
    import_movielens(tmp_path / "ml", tmp_path / "pieces")
    assert impressions(tmp_path / "pieces") == impressions(tmp_path / "whole")


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    source = folder(tmp_path / "ml")
    (source / name).unlink()
    assert f"{source / name} is missing: name the folder" in refused(source)


def test_missing_folder(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none' / 'ratings.csv'} is missing" in refused(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "header", "wanted"),
    [
        ("ratings.csv", "user,movieId,rating,timestamp", "userId"),
        ("ratings.csv", "userId,film,rating,timestamp", "movieId"),
        ("ratings.csv", "userId,movieId,stars,timestamp", "rating"),
        ("ratings.csv", "userId,movieId,rating,when", "timestamp"),
        ("ratings.csv", "userId,movieId,rating,user_id", "userId"),
        ("movies.csv", "film,title,genres", "movieId"),
        ("movies.csv", "movieId,title,tags", "genres"),
    ],
)
def test_missing_or_ambiguous_column(tmp_path: Path, name: str, header: str, wanted: str) -> None:
    source = folder(tmp_path / "ml")
    lines = (source / name).read_text().splitlines()
    (source / name).write_text("\n".join([header, *lines[1:]]))
    message = refused(source)
    assert f"{source / name} has no column {wanted}" in message and header.replace(",", ", ") in message


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("x,1,4,100", "userId is 'x' where a whole number from 0 up belongs"),
        ("7.5,1,4,100", "userId is '7.5'"),
        (",1,4,100", "userId is ''"),
        ("-1,1,4,100", "userId is '-1'"),
        ("9223372036854775808,1,4,100", "userId is '9223372036854775808'"),
        ("7,tt01,4,100", "movieId is 'tt01'"),
        ("7,-1,4,100", "movieId is '-1'"),
        ("7,1,good,100", "rating is 'good' where a number from 0.5 to 5 belongs"),
        ("7,1,,100", "rating is ''"),
        ("7,1,nan,100", "rating is 'nan'"),
        ("7,1,0,100", "rating is '0'"),
        ("7,1,5.5,100", "rating is '5.5'"),
        ("7,1,4,2015-01-01", "timestamp is '2015-01-01' where a time in whole unix seconds belongs"),
        ("7,1,4,-5", "timestamp is '-5'"),
        ("7,1,4,1537799250000", "timestamp is '1537799250000'"),
        ("7,1,4,0,100", "has 5 value(s) where the header has 4"),
        ("7,1,4", "has 3 value(s) where the header has 4"),
    ],
)
def test_bad_rating_names_the_line(tmp_path: Path, row: str, fault: str) -> None:
    message = refused(folder(tmp_path / "ml", [*RATINGS[:3], "", row, "also,bad,but,later"]))
    assert "ratings.csv, line 5" in message and fault in message


def test_bad_movie_names_the_line(tmp_path: Path) -> None:
    assert "movies.csv, line 3: movieId is 'two'" in refused(folder(tmp_path / "ml", movies=[*MOVIES[:2], "two,Two,War"]))


def test_genres_that_are_not_utf8(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "movies.csv").write_bytes(b"movieId,title,genres\n0,Zero,Drama\n1,One,Com\xe9die\n")
    assert "movies.csv, line 3: genres is 'Com\\udce9die' where text in UTF-8 belongs" in refused(source)


def test_number_only_arrow_refuses(tmp_path: Path) -> None:
    assert "ratings.csv cannot be read" in refused(folder(tmp_path / "ml", [RATINGS[0], "1_000,1,4,100"]))


@pytest.mark.parametrize(("name", "text"), [(n, t) for n in ("ratings.csv", "movies.csv") for t in ("", "\n\n")])
def test_empty_file(tmp_path: Path, name: str, text: str) -> None:
    source = folder(tmp_path / "ml")
    (source / name).write_text(text)
    assert f"{source / name} has no column" in (message := refused(source)) and "it is empty" in message


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv"])
def test_file_with_only_a_header(tmp_path: Path, name: str) -> None:
    source = folder(tmp_path / "ml")
    (source / name).write_text((source / name).read_text().splitlines()[0] + "\n")
    assert f"{source / name} holds no rows" in refused(source)


def test_file_that_is_no_csv(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "ratings.csv").write_bytes(b'"' + b"x" * 200_000)
    assert "ratings.csv cannot be read" in refused(source)


def test_full_folder_is_left_alone(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    with pytest.raises(InputError, match="exists already"):
        import_movielens(source, source)
    assert sorted(path.name for path in source.iterdir()) == ["movies.csv", "ratings.csv"]


def test_arguments_out_of_range(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    with pytest.raises(InputError, match="history_length is 0"):
        import_movielens(source, tmp_path / "out", history_length=0)
    with pytest.raises(InputError, match="choose one of last, time"):
        import_movielens(source, tmp_path / "out", split="random")  # type: ignore[arg-type]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here: set DIN_SHARED to the folder that has data/ml-latest-small")
@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("last", {"train": 71_078, "validation": 9_818, "eval": 19_940}),
        ("time", {"train": 70_586, "validation": 10_083, "eval": 20_167}),
    ],
)
def test_ml_latest_small(tmp_path: Path, split: Literal["last", "time"], counts: dict[str, int]) -> None:
    """Counts as GroupLens gives them; each impression and its history as a plain loop over the CSV finds them."""
    manifest = import_movielens(REAL, tmp_path / "out", split=split)
    parts = {s: batches(tmp_path / "out", s) for s in SPLITS}
    labels, times = (
        {s: np.concatenate([batch.column(name).flatten().to_numpy() for batch in parts[s]]) for s in SPLITS}
        for name in ("label", "timestamp")
    )
    assert manifest["users"] == 610 and manifest["items"] == 9_724 and manifest["items_without_category"] == 0
    assert manifest["examples"] == {s: len(labels[s]) for s in SPLITS} == counts and sum(counts.values()) == 100_836
    assert manifest["time_range"] == {"first": 828_124_615, "last": 1_537_799_250}
    assert manifest["base_rate"] == {s: pytest.approx(labels[s].mean()) for s in SPLITS}
    assert round(100 * np.concatenate(list(labels.values())).mean(), 1) == 48.2
    assert all((np.diff(times[s]) >= 0).all() for s in SPLITS)

    with (REAL / "movies.csv").open(encoding="utf-8", newline="") as file:
        genre = {int(row["Id"]): row["genres"].split("|")[0].encode() for row in csv.DictReader(file)}
    ratings: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    with (REAL / "ratings.csv").open(newline="") as file:
        for rating in csv.DictReader(file):
            ratings[int(rating["userId"])].append((int(rating["timestamp"]), int(rating["Id"]), float(rating["rating"])))
    for user in (1, 414, 429, 610):
        mine = sorted(ratings[user])
        clicks = [(item, genre[item], time) for time, item, stars in mine if stars >= 4]
        expected = {item: (time, genre[item], int(stars >= 4), [c for c in clicks if c[2] < time][-50:]) for time, item, stars in mine}
        kept = [batch.filter(pc.equal(batch.column("user_id").flatten(), user)) for s in SPLITS for batch in parts[s]]
        found = {
            row["candidate_item_id"]: (row["timestamp"], row["candidate_category_id"], row["label"], events(row))
            for batch in kept
            for row in to_rows(batch)
        }
        assert found == expected
