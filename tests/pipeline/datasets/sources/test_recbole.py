"""RecBole's atomic files written by hand: what columns mean by their names, labels, scales, splits, histories and categories."""

from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.by_name import open_source
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.movielens import MovieLens

REAL = Path.home() / ".cache" / "din-tfx" / "packages" / "recbole-1.2.1" / "recbole" / "dataset_example" / "ml-100k"
INTER = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", "u1\tA\t4\t1000000000", "u1\tB\t3.5\t1000000001.5", "01\tC\t5\t1e9"]
ITEM = [
    "item_id:token\ttitle:token_seq\tcategories:token_seq\tbrand:token",
    "A\tA \"quoted title\t'Hair Care', 'Beauty'\tx",
    "B\tB\tAction Crime\ty",
    "D\tD\tWar\tz",
    "A\tagain\tlater\tx",
]


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def read(path: Path, tally: Tally | None = None) -> list[dict[str, Any]]:
    source = open_source("recbole", path)
    tally = tally or Tally()
    batches = [batch for file in source.files() for batch in source.read(file, tally)]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def values(path: Path, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in read(path)]


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read(path)
    return str(error.value)


def test_ratings_and_categories(tmp_path: Path) -> None:
    """4 of 5 is a click; a token stays as it is (01); the first category of several; C has no row."""
    file = write(tmp_path / "set.inter", INTER)
    write(tmp_path / "set.item", ITEM)
    for path in (tmp_path, file):
        assert values(path, "user_id", "candidate_item_id", "label", "timestamp", "candidate_category_id") == [
            (b"u1", b"A", 1, 1_000_000_000, b"Hair Care"),
            (b"u1", b"B", 0, 1_000_000_001, b"Action"),
            (b"01", b"C", 1, 1_000_000_000, b"(unknown)"),
        ]
    source = open_source("recbole", tmp_path)
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("recbole", True, "earlier", "latest")
    assert source.rules["label"] == "rating:float of 4 or more is 1, else 0"
    assert "candidate_category_id: categories:token_seq of set.item" in source.rules["items"]
    assert source.rules["items"].endswith(
        "of several (token_seq) the first: up to the first comma or |, or without one up to the first blank"
    )


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Food, Coffee", b"Food"),
        ("Ice Cream|Food", b"Ice Cream"),
        (" War  Drama ", b"War"),
        ("['a b', 'c']", b"a b"),
        ("Children's War", b"Children's"),
    ],
)
def test_the_first_of_several_categories(tmp_path: Path, cell: str, expected: bytes) -> None:
    write(tmp_path / "set.inter", [INTER[0], "u\tA\t4\t1"])
    write(tmp_path / "set.item", ["item_id:token\tclass:token_seq", f"A\t{cell}"])
    assert values(tmp_path, "candidate_category_id") == [(expected,)]


def test_a_label_comes_before_a_rating(tmp_path: Path) -> None:
    write(tmp_path / "set.inter", ["label:float\tuser_id:token\trating:float\titem_id:token", "1.0\tu\t0\ti", "0\tu\t5\tj"])
    assert read(tmp_path) == [
        {"label": 1, "user_id": b"u", "candidate_item_id": b"i"},
        {"label": 0, "user_id": b"u", "candidate_item_id": b"j"},
    ]
    source = open_source("recbole", tmp_path)
    assert (source.has_negatives, source.history, source.repeats) == (True, "before", "all")
    assert source.rules["items"] == "no category, since no column of set.item or of the interactions is called so"
    assert source.rules["not used"] == "rating:float"


def test_without_a_label_each_row_is_a_click(tmp_path: Path) -> None:
    """The categories are in the interactions, a token, which is taken as it is."""
    lines = ["session_id:token\tproduct_id:token\tcategory_id:token\tcount:float", "s\tp\ta b\t3"]
    write(tmp_path / "set.inter", lines)
    assert read(tmp_path) == [{"label": 1, "user_id": b"s", "candidate_item_id": b"p", "candidate_category_id": b"a b"}]
    source = open_source("recbole", tmp_path)
    assert not source.has_negatives and source.rules["label"] == "each row is a click" and source.rules["not used"] == "count:float"


@pytest.mark.parametrize(
    ("text", "unit"), [("1588687728923", "ms"), ("1588687728", "s"), ("1588687728.0", "s"), ("1588687728923000", "us")]
)
def test_the_unit_of_times_shows_by_the_first_rows(tmp_path: Path, text: str, unit: str) -> None:
    write(tmp_path / "set.inter", ["user_id:token\titem_id:token\ttimestamp:float", f"u\ti\t{text}", f"u\tj\t{text}"])
    assert values(tmp_path, "timestamp") == [(1_588_687_728,)] * 2
    assert open_source("recbole", tmp_path).rules["time"].endswith(f"; read as {unit}, by the first rows")


@pytest.mark.parametrize("valid", ["valid", "dev", ""])
def test_a_benchmark_is_a_given_split(tmp_path: Path, valid: str) -> None:
    """With the histories of sequential benchmarks, and their categories."""
    header = "user_id:token\titem_id_list:token_seq\titem_id:token"
    for split, item in (("train", "A"), (valid, "B"), ("test", "C")):
        if split:
            write(tmp_path / f"set.{split}.inter", [header, f"u\tB A X\t{item}", f"v\t\t{item}"])
    write(tmp_path / "set.item", ITEM)
    rows = read(tmp_path)
    assert [row["split"] for row in rows] == ([0, 0, 1, 1, 2, 2] if valid else [0, 0, 2, 2])
    assert (rows[0]["historical_item_ids"], rows[0]["historical_category_ids"]) == (
        [b"B", b"A", b"X"],
        [b"Action", b"Hair Care", b"(unknown)"],
    )
    assert rows[1]["historical_item_ids"] == rows[1]["historical_category_ids"] == []
    assert "split" not in read(tmp_path / "set.train.inter")[0]
    if valid:
        manifest = import_source(open_source("recbole", tmp_path), tmp_path / "out", ImportSettings())
        assert manifest["split"] == "given" and manifest["empty_histories"] == {"train": 0.5, "validation": 0.5, "eval": 0.5}


@pytest.mark.parametrize(
    "names", [("a.inter", "b.inter"), ("a.train.inter", "b.test.inter"), ("a.train.inter",), ("a.inter", "a.test.inter")]
)
def test_files_that_are_no_split_are_named(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write(tmp_path / name, INTER)
    assert f"{tmp_path} holds {', '.join(names)}, which are neither one NAME.inter nor NAME.train.inter" in refused(tmp_path)
    assert len(read(tmp_path / names[0])) == 3


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path} has no file NAME.inter: name the folder" in refused(tmp_path)
    file = write(tmp_path / "set.inter", ["item_id:token\trating:float", "i\t4"])
    assert f"{file} has no column user_id, or several (it has: item_id:token, rating:float): add it or rename one." == refused(tmp_path)
    write(file, [])
    assert refused(tmp_path) == f"{file} is empty: download it again."


@pytest.mark.parametrize(
    ("ratings", "fault"),
    [
        (("1", "8"), "rating:float is from 1 to 8, but must be a scale from 0 to 5"),
        (("-1", "5"), "rating:float is from -1 to 5, but must be a scale from 0 to 5"),
        (("1", "1"), "rating:float is at most 1, but only 4 or more is a click"),
    ],
)
def test_another_scale_is_refused(tmp_path: Path, ratings: tuple[str, ...], fault: str) -> None:
    """Whatever --skip-broken says: the threshold would be wrong for all rows."""
    file = write(tmp_path / "set.inter", [INTER[0], *(f"u\ti\t{rating}\t1" for rating in ratings)])
    for tally in (Tally(), Tally(skip_broken=True)):
        with pytest.raises(InputError) as error:
            read(tmp_path, tally)
        assert str(error.value) == f"{file}: {fault}: import it with clicklog, where label.at_least says what a click is."


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("\tA\t4\t1000000000", "user_id:token is missing, but must be text or a whole number"),
        ("u1\tA\tgood\t1000000000", "rating:float is 'good', but must be a number"),
        ("u1\tA\tinf\t1000000000", "rating:float is 'inf', but must be a number"),
        ("u1\tA\t\t1000000000", "rating:float is missing, but must be a number"),
        ("u1\tA\t4\tnow", "timestamp:float is 'now', but must be a time until 2100 in unix seconds"),
        ("u1\tA\t4", "it has 3 value(s) where the header has 4"),
    ],
)
def test_broken_lines_are_named_or_counted(tmp_path: Path, line: str, fault: str) -> None:
    file = write(tmp_path / "set.inter", [*INTER[:2], line, *INTER[2:]])
    assert f"{file}, line 3: {fault}" in refused(tmp_path)
    tally = Tally(skip_broken=True)
    assert len(read(tmp_path, tally)) == 3
    assert tally.dropped == {"broken lines": 1}


def test_broken_items_are_named_or_counted(tmp_path: Path) -> None:
    write(tmp_path / "set.inter", INTER)
    file = write(tmp_path / "set.item", [*ITEM, "E\tx"])
    assert f"{file}, line 6: it has 2 value(s) where the header has 4" in refused(tmp_path)
    tally = Tally(skip_broken=True)
    assert len(read(tmp_path, tally)) == 3
    assert tally.notes["broken lines of set.item, whose items count as unknown"] == 1


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here: `din bench quality` downloads it")
def test_the_ml_100k_of_recbole() -> None:
    """The same interactions as by the source movielens, whose ids are whole numbers."""
    names = ("user_id", "candidate_item_id", "candidate_category_id", "label", "timestamp")
    movielens = MovieLens(REAL)
    expected = [row for batch in movielens.read(REAL / "ml-100k.inter", Tally()) for row in batch.to_pylist()]
    found = values(REAL, *names)
    assert len(found) == 100_000
    assert found == [(str(row[names[0]]).encode(), str(row[names[1]]).encode(), *(row[name] for name in names[2:])) for row in expected]
