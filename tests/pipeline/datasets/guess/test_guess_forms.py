"""`din import clicklog SOURCE --guess`: the mapping of each form of log is the one that a person would write."""

import gzip
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.pipeline.datasets.guess.forms import FORMS, written
from tests.pipeline.datasets.guess.guessed import INT_IDS, guessed

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
RATINGS = SHARED / "data" / "ml-latest-small" / "ratings.csv"

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


def test_blanks_after_separators(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user, item, label\n" + "".join(f"{row % 9}, {row % 7}, {row % 2}\n" for row in range(100)))
    assert guessed(tmp_path / "log.csv")["columns"] == {"user_id": "user", "candidate_item_id": " item", "label": " label"}


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


def test_only_the_first_rows_count(tmp_path: Path) -> None:
    """Row 10,001 is not looked at."""
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{row % 9},{row % 7}\n" for row in range(10_000)) + "x,y\n")
    assert guessed(path)["types"] == INT_IDS


@pytest.mark.skipif(not RATINGS.is_file(), reason=f"{RATINGS} is not here: set DIN_SHARED to the folder that has data/")
def test_the_ratings_of_movielens() -> None:
    assert guessed(RATINGS) == {
        "columns": {"user_id": "userId", "candidate_item_id": "Id", "timestamp": "timestamp"},
        "types": INT_IDS,
        "timestamp": {"unit": "s"},
        "label": {"column": "rating", "at_least": 4},
    }
