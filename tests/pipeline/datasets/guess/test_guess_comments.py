"""`din import clicklog SOURCE --guess`: what the comments of a mapping say, and for which files there is none."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from components.base.errors import InputError
from pipeline.datasets.guess.draft import quoted
from pipeline.datasets.guess.guess_mapping import guess_mapping
from tests.pipeline.datasets.guess.forms import written
from tests.pipeline.datasets.guess.guessed import guessed

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
SPORTS = SHARED / "data" / "sports" / "Sports_and_Outdoors.txt"


def test_what_cannot_be_told_is_said_with_the_choices(tmp_path: Path) -> None:
    """Each title is there once, so none is a user or an item."""
    path = tmp_path / "movies.csv"
    path.write_text("number,title\n" + "".join(f"{row},film {row}\n" for row in range(50)))
    lines = guess_mapping(path)
    assert '# user_id = ?  no column was recognised, and the mapping needs one; choices: "number", "title"' in lines
    assert "columns" not in tomllib.loads("\n".join(lines))


def test_rows_without_a_label_are_said(tmp_path: Path) -> None:
    """Of 100 ratings, 10 are -1 (watched, but not rated) and 10 are empty."""
    ratings = ["-1", "", "5", "6", "7", "8", "9", "10", "10", "10"]
    (tmp_path / "log.csv").write_text("user,item,rating\n" + "".join(f"u{k % 9},i{k % 7},{ratings[k % 10]}\n" for k in range(100)))
    lines = guess_mapping(tmp_path / "log.csv")
    assert tomllib.loads("\n".join(lines))["label"] == {"column": "rating", "at_least": 7}
    assert "# 10 rows have no label and are broken: use --skip-broken" in lines
    assert '# "-1" 10 times: if that means that there is no label, check what becomes of such rows' in lines


def test_reasons_are_comments(tmp_path: Path) -> None:
    lines = "\n".join(guess_mapping(written(tmp_path, "swedish.csv")))
    assert '# Guessed by the first 240 rows of "swedish.csv". Check it, save it as mapping.toml, and then:' in lines
    assert 'city = ["NA"] # "NA" ' in lines and '"Malmö"' in lines
    assert "choose from which number on a row is a click" in lines
    assert "# timestamp: no column was recognised, so the order of the rows is the order of time" in lines


def test_a_folder_by_its_largest_file(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("user,item\n" + "".join(f"u{row % 9},{row % 7}\n" for row in range(50)))
    (tmp_path / "b.csv").write_text("movie,title\n1,x\n")
    (tmp_path / "_ignored.csv").write_text("")
    lines = guess_mapping(tmp_path)
    assert '# Guessed by the first 50 rows of "z.csv". Check it, save it as mapping.toml, and then:' in lines
    assert "# This is the largest file of the folder. An import of the folder also reads the others (1)." in lines
    assert '# These have other columns: "b.csv". Name one file as SOURCE, or the files of the log in [files].' in lines


def test_another_source_that_needs_no_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(
        "userId,movieId,rating,timestamp\n" + "".join(f"{row % 9},{row % 7},{row % 5 + 1},{10**9 + row}\n" for row in range(50))
    )
    assert any("`din import movielens` needs no mapping" in line for line in guess_mapping(path))


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a\x1bb", "a\x7f\x85b", "a\u202eb", "a#b", "a = b", "名", "\U000e0001", "a\ud800b"]
)
def test_text_from_data_stays_inside_a_string_of_toml(name: str) -> None:
    line = f"x = {quoted(name)} # {quoted(name)}"
    assert tomllib.loads(line) == {"x": name.replace("\ud800", "?")}
    assert line.isprintable() or name == "名"


def test_hostile_names_of_columns_give_valid_toml(tmp_path: Path) -> None:
    names = ["user", "item", 'a"] \n[x]\n', "\x1b[2J", "label", "split", "self", "historical_item_ids", "é", "e", "E", "9lives", "user_id"]
    rows = [json.dumps({name: f"v{(row + place) % 5}" for place, name in enumerate(names)}) for row in range(40)]
    (tmp_path / "log.jsonl").write_text("\n".join(rows) + "\n")
    columns = guessed(tmp_path / "log.jsonl")["columns"]
    assert columns["user_id"] == "user" and columns["candidate_item_id"] == "item"
    assert sorted(columns.values()) == sorted(name for name in names if name != "historical_item_ids")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: name a file with rows"),
        (b"\n\n", "is empty: name a file with rows"),
        (bytes(range(256)) * 20, "is not a text and not Parquet, so nothing can be guessed"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive, or a table of Excel: unpack it"),
        (b"just\none\ncolumn\n", "has no separator by which its rows have the same number of values"),
        (b'[{"user": 1}]', "is one JSON list: write one object on each line"),
        (b'[\n {\n  "user": 1\n }\n]', "is one JSON list: write one object on each line"),
        (b'{"user": 1\n{"x"\n', "holds no rows that can be read"),
        (b"user,item\n", "holds no rows that can be read"),
        (b"1 5 7 9\n2 4\n3 8 8 1 2\n", "holds a user and their items on each line: that is for `din import sequences"),
    ],
)
def test_where_nothing_can_be_guessed(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"log\.csv") as caught:
        guess_mapping(tmp_path / "log.csv")
    assert message in str(caught.value)


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    for source, message in ((tmp_path / "none.csv", "none.csv is missing"), (tmp_path, "holds no files")):
        with pytest.raises(InputError, match=message):
            guess_mapping(source)


@pytest.mark.skipif(not SPORTS.is_file(), reason=f"{SPORTS} is not here: set DIN_SHARED to the folder that has data/")
def test_sequences_are_for_another_source() -> None:
    with pytest.raises(InputError, match="holds a user and their items on each line: that is for `din import sequences"):
        guess_mapping(SPORTS)


def test_one_json_object_that_is_a_dictionary_is_no_log(tmp_path):
    file = tmp_path / "item2attributes.json"
    file.write_text(json.dumps({str(item): [1, 2] for item in range(2_000)}) + "\n")
    with pytest.raises(InputError, match="has 2,000 columns, so it is no log: name the file that has a row for each impression"):
        guess_mapping(file)
