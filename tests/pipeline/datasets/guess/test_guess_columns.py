"""`din import clicklog SOURCE --guess`: which columns are users, items, labels, times and lists, by their names and values."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets.guess.guess_mapping import guess_mapping
from tests.pipeline.datasets.guess.guessed import INT_IDS, guessed


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
