"""`din import clicklog SOURCE --guess`: the mapping of each form of log is the one that a person would write."""

import gzip
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from components.base.errors import InputError
from pipeline.datasets.guess.draft import quoted
from pipeline.datasets.guess.guess_mapping import guess_mapping
from tests.pipeline.datasets.guess.forms import FORMS

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
RATINGS = SHARED / "data" / "ml-latest-small" / "ratings.csv"
SPORTS = SHARED / "data" / "sports" / "Sports_and_Outdoors.txt"

INT_IDS = {"user_id": "int64", "candidate_item_id": "int64"}
MAPPINGS: dict[str, dict[str, Any]] = {
    "quoted.csv": {"columns": {"user_id": "user", "candidate_item_id": "item"}},
    "lists.csv": {
        "columns": {"user_id": "user", "candidate_item_id": "item", "timestamp": "ts", "label": "label"},
        "types": INT_IDS,
        "timestamp": {"unit": "s"},
        "histories": {"historical_item_ids": {"column": "hist", "separator": ","}},
    },
    "days.csv": {
        "history": "before",
        "columns": {"user_id": "user_id", "candidate_item_id": "item_id", "timestamp": "day"},
        "types": INT_IDS,
        "timestamp": {"unit": "iso"},
    },
    "headerless.csv": {
        "columns": {"user_id": "1", "candidate_item_id": "2", "candidate_category_id": "3", "timestamp": "5"},
        "types": {**INT_IDS, "candidate_category_id": "int64"},
        "timestamp": {"unit": "s"},
        "label": {"column": "4", "positive": ["pv"], "negative": []},
        "files": {"header": False},
    },
    "tabs.tsv": {
        "columns": {"user_id": "user_id", "candidate_item_id": "item_id", "timestamp": "time", "label": "clicked", "title": "title"},
        "timestamp": {"unit": "ms"},
        "files": {"quote": ""},
    },
    "behaviors.tsv": {
        "columns": {"user_id": "2", "timestamp": "3"},
        "timestamp": {"format": "%m/%d/%Y %I:%M:%S %p"},
        "impressions": {"column": "5", "separator": " ", "label_separator": "-"},
        "histories": {"historical_item_ids": {"column": "4", "separator": " "}},
        "files": {"header": False},
    },
    "clicks.csv": {
        "columns": {
            **{"user_id": "visitor", "candidate_item_id": "ad", "candidate_category_id": "ad_category", "timestamp": "time"},
            **{"age": "age", "hour": "hour"},
        },
        "types": {**INT_IDS, "hour": "int64"},
        "timestamp": {"unit": "iso"},
        "label": {"column": "event", "positive": ["click"], "negative": ["view"]},
    },
    "chinese.csv": {
        "columns": {"user_id": "用户", "candidate_item_id": "商品", "timestamp": "时间", "label": "点击", "feature_1": "城市"},
        "timestamp": {"unit": "s"},
        "files": {"encoding": "gb18030"},
    },
    "swedish.csv": {
        "columns": {"user_id": "user", "candidate_item_id": "item", "city": "city"},
        "missing": {"city": ["NA"]},
        "label": {"column": "rating", "at_least": 7},
        "files": {"encoding": "latin-1", "separator": ";"},
    },
    "wide.csv": {
        "columns": {"user_id": "user", "candidate_item_id": "item", "city": "city"},
        "missing": {"city": ["NA"]},
        "label": {"column": "rating", "at_least": 7},
        "files": {"encoding": "utf-16", "separator": ";"},
    },
    "log.jsonl": {
        "columns": {
            **{"user_id": "uid", "candidate_item_id": "newsId", "timestamp": "ts", "label": "is_click"},
            **{"age": "age", "gender": "gender"},
        },
        "types": {"user_id": "int64", "age": "int64"},
        "missing": {"age": ["-1"], "gender": ["NULL"]},
        "timestamp": {"unit": "ms"},
        "histories": {"historical_item_ids": {"column": "click_history"}},
    },
    "ml.inter": {
        "columns": {"user_id": "user_id:token", "candidate_item_id": "item_id:token", "timestamp": "timestamp:float"},
        "types": INT_IDS,
        "timestamp": {"unit": "s"},
        "label": {"column": "rating:float", "at_least": 4},
        "files": {"format": "csv", "separator": "\t"},
    },
    "ratings.dat": {
        "columns": {"user_id": "1", "candidate_item_id": "2", "timestamp": "4"},
        "types": INT_IDS,
        "timestamp": {"unit": "s"},
        "label": {"column": "3", "at_least": 4},
        "files": {"format": "csv", "separator": "::", "header": False},
    },
    "hours.csv": {
        "columns": {
            **{"user_id": "device_id", "candidate_item_id": "site_id", "timestamp": "hour", "label": "click"},
            **{"banner_pos": "banner_pos"},
        },
        "types": {"banner_pos": "int64"},
        "timestamp": {"format": "%y%m%d%H"},
    },
    "days.txt": {
        "columns": {"user_id": "customer", "candidate_item_id": "sku", "timestamp": "date"},
        "timestamp": {"format": "%Y-%m-%d %H:%M:%S", "time": "time"},
        "label": {"column": "action", "positive": ["click"], "negative": ["impression"]},
        "files": {"format": "csv", "separator": "|"},
    },
    "escapes.csv": {
        "columns": {"user_id": "user", "candidate_item_id": "item", "label": "label", "title": "title"},
        "files": {"escape": "\\"},
    },
}


def guessed(path: Path) -> dict[str, Any]:
    return tomllib.loads("\n".join(guess_mapping(path)))


def written(folder: Path, name: str) -> Path:
    make, encoding = FORMS[name]
    path = folder / name
    path.write_bytes(make().encode(encoding))
    return path


@pytest.mark.parametrize("name", FORMS)
def test_a_log_of_each_form(tmp_path: Path, name: str) -> None:
    assert guessed(written(tmp_path, name)) == MAPPINGS[name]


def test_a_packed_log_gives_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, "clicks.csv")
    (tmp_path / "clicks.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert guessed(tmp_path / "clicks.csv.gz") == MAPPINGS["clicks.csv"]


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    """Nullable whole numbers are floats, times need no unit, lists need no separator, and truth values are a label."""
    rows = 60
    table = pa.table(
        {
            "user": [float(row % 10) for row in range(rows)],
            "item": [f"i{row % 7}" for row in range(rows)],
            "moment": pa.array([1_600_000_000_000_000 + row for row in range(rows)], pa.timestamp("us")),
            "clicked": [row % 3 == 0 for row in range(rows)],
            "hist": [[f"i{row % 7}", "i1"] for row in range(rows)],
            "price": [None, *(row / 4 for row in range(1, rows))],
            "vectors": [[[0.5]]] * rows,
        }
    )
    pa.parquet.write_table(table, tmp_path / "log.bin")
    assert guessed(tmp_path / "log.bin") == {
        "columns": {"user_id": "user", "candidate_item_id": "item", "timestamp": "moment", "label": "clicked", "price": "price"},
        "types": {"user_id": "int64", "price": "float"},
        "histories": {"historical_item_ids": {"column": "hist"}},
        "files": {"format": "parquet"},
    }


@pytest.mark.parametrize(
    ("header", "role", "column"),
    [
        ("session_id,item,label", "user_id", "session_id"),  # no user at all
        ("uuid,ad_id,display_id", "user_id", "uuid"),  # Outbrain
        ("user_id,prop_id,click_bool", "label", "click_bool"),  # Expedia
        ("user_id,item_id,label,item_id", "label", "label"),  # a name that is there twice is no reason against a header
        ("0,1,2", "user_id", "0"),  # the header of pandas where columns have no names
        ("user,item,device_type", "device_type", "device_type"),  # 0 and 1, but not a label
        ("userId,Id,label", "candidate_item_id", "Id"),  # MovieLens as Kaggle has it
        ("reviewerID,asin,label", "candidate_item_id", "asin"),
        ("visitorid,itemid,label", "user_id", "visitorid"),
        ("customer_id,article_id,label", "candidate_item_id", "article_id"),
        ("user,userAge,itemid", "candidate_item_id", "itemid"),
        ("a,b,label", "user_id", "a"),  # no name tells anything
        ("a,b,label", "candidate_item_id", "b"),
    ],
)
def test_roles_by_names(tmp_path: Path, header: str, role: str, column: str) -> None:
    path = tmp_path / "log.csv"
    fourth = ",1" * (header.count(",") == 3)
    path.write_text(header + "\n" + "".join(f"{row % 9},{row % 7},{row % 2}{fourth}\n" for row in range(100)))
    assert guessed(path)["columns"][role] == column


def test_what_cannot_be_told_is_said_with_the_choices(tmp_path: Path) -> None:
    """Each title is there once, so none is a user or an item."""
    path = tmp_path / "movies.csv"
    path.write_text("number,title\n" + "".join(f"{row},film {row}\n" for row in range(50)))
    lines = guess_mapping(path)
    assert '# user_id = ?  no column was recognised, and the mapping needs one; choices: "number", "title"' in lines
    assert "columns" not in tomllib.loads("\n".join(lines))


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ("play purchase", {"column": "event", "positive": ["play", "purchase"], "negative": []}),
        ("play purchase x", {"column": "event", "positive": ["play", "purchase"]}),
        ("click impression", {"column": "event", "positive": ["click"], "negative": ["impression"]}),
        ("Y N", {"column": "event", "positive": ["Y"]}),
        ("t f", {"column": "event", "positive": ["t"]}),
        ("1 -1", {"column": "event", "positive": ["1"], "negative": ["-1"]}),
        ("1.0 2.5 5.0", {"column": "event", "at_least": 4}),
        ("0 3 10", {"column": "event", "at_least": 7}),
        ("10 60 100", {"column": "event", "at_least": 70}),
        ("1", None),  # always 1: each row is a click
        ("red green blue", None),
        ("0 2 3", None),  # codes: nothing is as high as a liked rating
        ("-5 3 8", None),
    ],
)
def test_labels(tmp_path: Path, values: str, label: dict[str, Any] | None) -> None:
    words = values.split()
    rows = "".join(f"u{row % 9},i{row % 7},{words[row % len(words)]}\n" for row in range(100))
    (tmp_path / "log.csv").write_text("user,item,event\n" + rows)
    found = guessed(tmp_path / "log.csv")
    assert found.get("label") == label and "label" not in found["columns"]


@pytest.mark.parametrize(
    ("cell", "separator"),
    [
        ("[i1 i{}\n i3]", " "),
        ("[np.str_('i1'), np.str_('i{}')]", ","),
        (" ['i1', 'i{}'] ", ","),
        ("i1, i{}", ","),
        ("i1|i{}", "|"),
        ("[[i1, i{}], [i3]]", None),
        ("[i1 i{} ... i3]", None),
    ],
)
def test_lists_as_text(tmp_path: Path, cell: str, separator: str | None) -> None:
    """All values are items. What an import would refuse is no list."""
    rows = "".join(f'u{row % 9},i{row % 4},{row % 2},"{cell.format(row % 4)}"\n' for row in range(99))
    (tmp_path / "log.csv").write_text("user,item,label,hist\n" + rows)
    lines = guess_mapping(tmp_path / "log.csv")
    found = tomllib.loads("\n".join(lines)).get("histories")
    assert found == (separator and {"historical_item_ids": {"column": "hist", "separator": separator}})
    assert any("100% of its values are items" in line for line in lines) == (separator is not None)


def test_blanks_after_separators(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user, item, label\n" + "".join(f"{row % 9}, {row % 7}, {row % 2}\n" for row in range(100)))
    assert guessed(tmp_path / "log.csv")["columns"] == {"user_id": "user", "candidate_item_id": " item", "label": " label"}


@pytest.mark.parametrize(
    ("header", "value", "column", "timestamp"),
    [
        ("time", '"2020-07-05 01:02:{:02d},123"', "time", {"unit": "iso"}),
        ("event_time", "2020-07-05 01:02:{:02d} UTC", "event_time", {"unit": "iso"}),
        ("date_added", "Sun Jul 05 01:02:{:02d} -0700 2020", "date_added", {"format": "%a %b %d %H:%M:%S %z %Y"}),
        ("date", "1/13/2020 1:{:02d} PM", "date", {"format": "%m/%d/%Y %I:%M %p"}),
        ("date", "13/1/20 13:{:02d}", "date", {"format": "%d/%m/%y %H:%M"}),
        ("time", "13/Jan/2020:13:00:{:02d} +0000", "time", {"format": "%d/%b/%Y:%H:%M:%S %z"}),
        ("date,time_ms", "20200705,15939253220{:02d}", "time_ms", {"unit": "ms"}),  # a finer clock than the days
        ("ts", "41730063.6{:02d}", "ts", {"unit": "s"}),  # since a moment that nobody said
        ("timestamp", "41730063100{:02d}", "timestamp", {"unit": "ms"}),
        ("year,time", "20{:02d},1593925322", "time", {"unit": "s"}),
        ("hour", "{:02d}", None, None),
    ],
)
def test_times(tmp_path: Path, header: str, value: str, column: str | None, timestamp: dict[str, Any] | None) -> None:
    """The numbers from 0 to 59 of each user are seconds, parts of one, or years."""
    places = range(24 if column is None else 60)
    rows = "".join(f"u{user},i{place % 7},{value.format(place)}\n" for user in range(9) for place in places)
    (tmp_path / "log.csv").write_text(f"user,item,{header}\n{rows}")
    found = guessed(tmp_path / "log.csv")
    assert (found["columns"].get("timestamp"), found.get("timestamp")) == (column, timestamp)


def test_a_clock_finer_than_seconds_is_coarse_where_all_is_in_one_second(tmp_path: Path) -> None:
    """An import keeps whole seconds."""
    rows = "".join(f"u{row % 5},i{row % 7},{1593925322000 + row}\n" for row in range(100))
    (tmp_path / "log.csv").write_text("user,item,time\n" + rows)
    assert guessed(tmp_path / "log.csv")["history"] == "before"


def test_years_of_a_table_without_a_header_are_no_times(tmp_path: Path) -> None:
    """UserBehavior.csv with items from 2000 to 2024, which are years that pandas knows as times."""
    rows = "".join(f"{row % 9},{2000 + row % 25},{row % 4},{1593925322 + row}\n" for row in range(200))
    (tmp_path / "log.csv").write_text(rows)
    assert guessed(tmp_path / "log.csv")["columns"]["timestamp"] == "4"


def test_a_separator_at_the_end_of_each_row(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,label,\n" + "".join(f"{row % 9},{row % 7},{row % 2},\n" for row in range(100)))
    assert guessed(tmp_path / "log.csv")["columns"] == {"user_id": "user", "candidate_item_id": "item", "label": "label"}


def test_a_single_nul_is_a_broken_row_and_the_file_is_text(tmp_path: Path) -> None:
    rows = "".join(f"{row % 9},{row % 7},{row % 2}\n" for row in range(100))
    (tmp_path / "log.csv").write_text(f"user,item,label\n{rows}1,2\0,1\n")
    assert guessed(tmp_path / "log.csv")["columns"] == {"user_id": "user", "candidate_item_id": "item", "label": "label"}


def test_excels_line_before_the_header(tmp_path: Path) -> None:
    rows = "".join(f"{row % 9};{row % 7};{row % 2}\r\n" for row in range(100))
    (tmp_path / "log.csv").write_bytes(("\ufeffsep=;\r\nuser;item;label\r\n" + rows).encode())
    found = guessed(tmp_path / "log.csv")
    assert found["columns"] == {"user_id": "user", "candidate_item_id": "item", "label": "label"} and found["files"] == {"separator": ";"}


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


def test_rows_without_a_user_and_categories_without_a_value(tmp_path: Path) -> None:
    """A missing user makes a row broken; a missing category becomes (unknown) where it is text, so it is no int64."""
    path = tmp_path / "log.csv"
    path.write_text("user,item,category\n" + "".join(f"{row % 9 or 'NULL'},{row % 7},{row % 5 or ''}\n" for row in range(100)) + ",1,1\n")
    lines = guess_mapping(path)
    assert tomllib.loads("\n".join(lines)) == {
        "columns": {"user_id": "user", "candidate_item_id": "item", "candidate_category_id": "category"},
        "types": INT_IDS,
        "missing": {"user_id": ["NULL"]},
    }
    assert 'user_id = ["NULL"] # "NULL" 12 times; rows without it are broken: use --skip-broken' in lines
    assert "# 1 rows have no user_id and are broken: use --skip-broken" in lines


def test_only_the_first_rows_count(tmp_path: Path) -> None:
    """Row 10,001 is not looked at."""
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{row % 9},{row % 7}\n" for row in range(10_000)) + "x,y\n")
    assert guessed(path)["types"] == INT_IDS


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


@pytest.mark.skipif(not RATINGS.is_file(), reason=f"{RATINGS} is not here: set DIN_SHARED to the folder that has data/")
def test_the_ratings_of_movielens() -> None:
    assert guessed(RATINGS) == {
        "columns": {"user_id": "userId", "candidate_item_id": "Id", "timestamp": "timestamp"},
        "types": INT_IDS,
        "timestamp": {"unit": "s"},
        "label": {"column": "rating", "at_least": 4},
    }


@pytest.mark.skipif(not SPORTS.is_file(), reason=f"{SPORTS} is not here: set DIN_SHARED to the folder that has data/")
def test_sequences_are_for_another_source() -> None:
    with pytest.raises(InputError, match="holds a user and their items on each line: that is for `din import sequences"):
        guess_mapping(SPORTS)


def test_one_json_object_that_is_a_dictionary_is_no_log(tmp_path):
    file = tmp_path / "item2attributes.json"
    file.write_text(json.dumps({str(item): [1, 2] for item in range(2_000)}) + "\n")
    with pytest.raises(InputError, match="has 2,000 columns, so it is no log: name the file that has a row for each impression"):
        guess_mapping(file)
