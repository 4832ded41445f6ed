"""Click logs with side tables of items and users: values of every kind, fields of histories, and broken rows."""

from pathlib import Path

import numpy as np
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import PLAIN, read, refusal, rows_of, source_of, text, values, write

SIDE = """
[columns]
user_id = "user"
candidate_item_id = "item"

[types]
user_id = "int64"
candidate_item_id = "int64"
candidate_price = "float"
age = "int64"

[items]
file = "items.csv"
id = "item"
columns = { candidate_brand_id = "brand", candidate_price = "price", candidate_tags = "tags", candidate_w = "w", candidate_image = "image" }

[users]
file = "users.csv"
id = "user"
columns = { age = "age", gender = "gender", liked = "liked" }

[lists]
candidate_tags = { separator = "|", weights = "candidate_w", history = true }
candidate_image = { separator = "|", size = 2, history = true }
liked = { separator = "|" }
"""
ITEMS = "item,brand,price,tags,w,image\n1,x,9.5,a|b,1|2,0.5|1.5\n2,,,,,\n1,late,1,z,3,9|9\n"
USERS = "user,age,gender ,liked\n7,30,f,p|q\n8,,,\n"


def side_tables(tmp_path: Path, items: str = ITEMS, users: str = USERS) -> None:
    (tmp_path / "items.csv").write_text(items)
    (tmp_path / "users.csv").write_text(users)


def test_side_tables_of_items_and_users(tmp_path):
    """The first row of an id counts; a user or an item without a row has nothing; blanks at the ends of a column's name do not count."""
    side_tables(tmp_path)
    log = write(tmp_path / "log.jsonl", [{"user": user, "item": item} for user, item in ((7, 1), (8, 2), (9, 3))])
    found = rows_of(source_of(log, SIDE))
    assert found[0] == {
        "label": 1, "user_id": 7, "candidate_item_id": 1, "candidate_brand_id": b"x", "candidate_price": 9.5,
        "candidate_tags": [b"a", b"b"], "candidate_w": [1, 2], "candidate_image": [0.5, 1.5],
        "age": 30, "gender": b"f", "liked": [b"p", b"q"],
    }  # fmt: skip
    nothing = {
        "candidate_brand_id": b"(unknown)", "candidate_price": None, "candidate_tags": [], "candidate_w": [], "candidate_image": None,
        "age": None, "gender": None, "liked": [],
    }  # fmt: skip
    assert found[1:] == [{"label": 1, "user_id": user, "candidate_item_id": item, **nothing} for user, item in ((8, 2), (9, 3))]


def test_a_broken_row_of_a_side_table_is_named(tmp_path):
    side_tables(tmp_path, ITEMS + "3,x,1,a|b,1,1|1\n", USERS + "10,old,f,\n")
    log = write(tmp_path / "log.jsonl", [{"user": 10, "item": 3}])
    with pytest.raises(InputError, match=r"items\.csv, line 5: w is '1', but must be a list separated by '\|'"):
        rows_of(source_of(log, SIDE))
    tally = Tally(skip_broken=True)
    (row,) = rows_of(source_of(log, SIDE), tally)
    assert row["candidate_tags"] == [] and row["candidate_price"] is None and row["age"] is None
    assert tally.notes == {
        "broken lines of items.csv, whose items count as unknown": 1,
        "broken lines of users.csv, whose users count as unknown": 1,
    }
    assert tally.broken[1] == "users.csv, line 4: age is 'old', but must be a whole number"


def test_side_tables_are_no_part_of_the_log(tmp_path):
    side_tables(tmp_path)
    folder = tmp_path / "all"
    folder.mkdir()
    for name in ("items.csv", "users.csv"):
        (tmp_path / name).rename(folder / name)
    write(folder / "log.csv", [{"user": 7, "item": 1}])
    (tmp_path / "mapping.toml").write_text(SIDE)
    assert ClickLog(folder, tmp_path / "mapping.toml").files() == [folder / "log.csv"]


def test_the_items_of_the_logs_histories_get_the_fields_of_the_table(tmp_path):
    """Item 1, item 2 (which has no price, tags and image), and item 5, which the table does not have."""
    side_tables(tmp_path)
    log = write(tmp_path / "log.jsonl", [{"user": 7, "item": 1, "his": [1, 2, 5]}, {"user": 7, "item": 1, "his": []}])
    found, empty = rows_of(source_of(log, SIDE + '[histories]\nhistorical_item_ids = { column = "his" }\n'))
    assert found["historical_brand_ids"] == [b"x", b"(unknown)", b"(unknown)"]
    assert found["historical_prices"][0] == 9.5 and np.isnan(found["historical_prices"][1:]).all()
    assert found["historical_tags"] == [b"a", b"b"] and found["historical_tags_lengths"] == [2, 0, 0] and found["historical_ws"] == [1, 2]
    assert found["historical_images"][:2] == [0.5, 1.5] and np.isnan(found["historical_images"][2:]).all()
    assert len(found["historical_images"]) == 6
    assert all(empty[name] == [] for name in empty if name.startswith("historical_"))


CATEGORIES = '[items]\nfile = "items.csv"\nid = "item"\ncolumns = { candidate_category_id = "cate" }\n'


def test_broken_lines_of_a_side_table_are_skipped_and_counted(tmp_path):
    """Case 9: --skip-broken holds there too."""
    log = text(tmp_path / "log.csv", "user,item\nu,1\nu,2\nu,3\n")
    text(tmp_path / "items.csv", "item,cate\n1,x\n2\n3,z\n3,later\n")
    assert "items.csv, line 3: it has 1 value(s) where the header has 2" in refusal(log, PLAIN + CATEGORIES)
    tally = Tally(skip_broken=True)
    assert values(log, PLAIN + CATEGORIES, "candidate_category_id", tally) == [b"x", b"(unknown)", b"z"]
    assert tally.broken == ["items.csv, line 3: it has 1 value(s) where the header has 2"] and not tally.dropped
    assert tally.notes == {"broken lines of items.csv, whose items count as unknown": 1}


def test_a_side_table_with_whole_numbers_as_floats(tmp_path):
    log = text(tmp_path / "log.csv", "user,item\nu,1\nu,2\nu,3\n")
    text(tmp_path / "items.csv", "item,cate\n1.0,5.0\n2.0,\n")
    assert values(log, PLAIN + CATEGORIES, "candidate_category_id") == [b"5", b"(unknown)", b"(unknown)"]
    numbers = f'{PLAIN}{CATEGORIES}[types]\ncandidate_category_id = "int64"\n'
    tally = Tally(skip_broken=True)
    assert values(log, numbers, "candidate_category_id", tally) == [5]
    assert tally.broken[0] == "log.csv, line 3: cate of items.csv is missing, but must be a whole number from 0 up"


def test_the_side_table_gives_the_fields_of_histories(tmp_path):
    """Those of text, for which "(unknown)" can stand; a history of categories that the log has is taken as it is."""
    text(tmp_path / "items.csv", "id,cate,brand\na,x,1\nb,y,2\n")
    log = text(tmp_path / "log.csv", "user,item,hist,brands\nu,a,b|z||a,5|6|7|8\nu,b,,\n")
    mapping = (
        f'{PLAIN}[histories]\nhistorical_item_ids = {{ column = "hist", separator = "|" }}\n[items]\nfile = "items.csv"\nid = "id"\n'
        'columns = { candidate_category_id = "cate", candidate_brand_id = "brand" }\n'
    )
    first, second = read(log, mapping)
    assert first["historical_item_ids"] == [b"b", b"z", b"a"]
    assert first["historical_category_ids"] == [b"y", b"(unknown)", b"x"]
    assert first["historical_brand_ids"] == [b"2", b"(unknown)", b"1"]
    assert second["historical_category_ids"] == []
    (first, _) = read(log, f'{mapping}[types]\ncandidate_brand_id = "int64"\n')
    assert "historical_brand_ids" not in first and first["historical_category_ids"] == [b"y", b"(unknown)", b"x"]
    own = mapping.replace("[items]", 'historical_brand_ids = { column = "brands", separator = "|" }\n[items]')
    assert read(log, own)[0]["historical_brand_ids"] == [b"5", b"6", b"8"]
