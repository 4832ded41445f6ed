"""What an import finds out about its data, and the warnings about what is not usual, on data that is worked out by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.base.errors import InputError
from pipeline.datasets.importing import import_source as importing
from pipeline.datasets.importing.import_report import lines
from tests.pipeline.datasets.importing.list_source import Row, brought_in, event

YEAR_2020 = 1_577_836_800
BYTES = {name: pa.binary() for name in ("user_id", "candidate_item_id", "candidate_category_id", "place")}


@pytest.fixture(autouse=True)
def _splits_may_be_empty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of most of these tests is too small to fill all splits."""
    if "would_be_empty" not in request.node.name:
        monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)


def usual_rows(users: int = 20) -> list[Row]:
    """Ten rows a user, one each minute, of which every second is a click: the first row of users with an odd number."""
    return [event(user, (user + i) % 30, YEAR_2020 + 60 * i, (user + i) % 2) for user in range(users) for i in range(10)]


def warned(tmp_path: Path, rows: list[Row], **more: Any) -> list[str]:
    manifest, _ = brought_in(tmp_path, rows, **more)
    assert [line for line in lines(manifest) if line.startswith("warning: ")] == [f"warning: {text}" for text in manifest["warnings"]]
    return manifest["warnings"]


def day_clock(label: int | None) -> list[Row]:
    """Case 5 of the issue: six users with four rows each, all at midnight of one day; labels 0 and 1 in turn, or as given."""
    return [event(u, 3 * u + i, YEAR_2020 + 86_400 * u, i % 2 if label is None else label) for u in range(6) for i in range(4)]


def test_usual_data_gives_no_warning(tmp_path: Path) -> None:
    manifest, _ = brought_in(tmp_path, usual_rows())
    assert manifest["warnings"] == []
    printed = list(lines(manifest))
    assert "times: 2020-01-01 00:00 to 2020-01-01 00:09 UTC" in printed
    assert "label: as the test says" in printed
    assert "empty histories: 21.4% of train, 0.0% of validation, 0.0% of eval" in printed  # of 7 rows: 1 of odd users, 2 of even ones
    assert "events of histories whose item is ever a candidate: 100.0%" in printed
    assert "clicks: 50.0% of train, 50.0% of validation, 50.0% of eval" in printed
    assert manifest["empty_histories"] == {"train": 30 / 140, "validation": 0, "eval": 0}


def test_a_clock_of_days_leaves_histories_empty(tmp_path: Path) -> None:
    """Each user has a click before rows 2 and 3, at the same time."""
    (warning, *_) = warned(tmp_path, day_clock(None), source={"name": "clicklog"})
    assert warning == (
        "histories are empty in 100.0% of train; in 12 impressions only because the user's clicks before have the same time: "
        'set history = "before" in the mapping, so that the order of the rows counts'
    )


def test_the_order_of_rows_fills_the_histories_of_a_clock_of_days(tmp_path: Path) -> None:
    """Row 0 has no click before it and row 1 none either, since row 0 is no click; rows 2 and 3 have one."""
    manifest, _ = brought_in(tmp_path, day_clock(None), source={"name": "clicklog", "history": "before"})
    assert manifest["tied_histories"] == 0 and manifest["empty_histories"]["train"] == 0.5


def test_a_clock_of_days_by_which_a_split_would_be_empty(tmp_path: Path) -> None:
    """With sampled negatives, clicks without a history are no impressions: 3 of the 4 of each user."""
    message = (
        r"No impression would be in train \(0 in validation, 0 in eval\): 18 clicks are in histories alone, only because the user's clicks "
        r'before have the same time: set history = "before" in the mapping'
    )
    with pytest.raises(InputError, match=message):
        brought_in(tmp_path, day_clock(1), source={"name": "clicklog", "has_negatives": False})


def test_users_with_one_row_leave_histories_empty(tmp_path: Path) -> None:
    rows = [event(user, user % 30, YEAR_2020 + user, user % 2) for user in range(40)]
    (warning,) = warned(tmp_path, rows)
    assert warning == (
        "histories are empty in 100.0% of train; check that user_id is the user, and that users have more than one or two rows"
    )


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (20_200_705, "reach to 1970-08-22 19:18 UTC, which is before 1995"),
        (788_918_399, "reach to 1994-12-31 23:59 UTC, which is before 1995"),
        (788_918_400, None),
        (int(datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC).timestamp()) - 1, None),
        (int(datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC).timestamp()), f"which is after {datetime.now(UTC).year + 1}"),
    ],
)
def test_times_that_cannot_be_right(tmp_path: Path, time: int, words: str | None) -> None:
    """Case 6 of the issue: 20200705 is a day in figures, not unix seconds."""
    warnings = warned(tmp_path, [*usual_rows(), event(1, 1, time)])
    assert [words in text for text in warnings] == ([True] if words else [])


def test_a_wrong_time_is_seen_though_its_click_is_in_histories_alone(tmp_path: Path) -> None:
    """The first click of a user is no impression where negatives are sampled."""
    rows = [event(user, user + i, YEAR_2020 + i) for user in range(9) for i in range(4)]
    manifest, _ = brought_in(tmp_path, [*rows, event(20, 1, 5), event(20, 2, YEAR_2020)], source={"has_negatives": False})
    assert manifest["time_range"] == {"first": 5, "last": YEAR_2020 + 3} and "before 1995" in manifest["warnings"][0]


def own_histories(*histories: list[int] | None) -> tuple[list[Row], dict[str, Any]]:
    rows = [{"user_id": 1, "candidate_item_id": i, "label": i % 2, "historical_item_ids": h} for i, h in enumerate(histories)]
    return rows, {"types": {"historical_item_ids": pa.list_(pa.int64())}}


def test_events_that_are_never_a_candidate(tmp_path: Path) -> None:
    """Candidates are 0, 1, 2, 3. Of seven events, 0, 3 and 3 are among them."""
    rows, source = own_histories([7, 0], [3, 8, 9], [3, 5], None)
    manifest, _ = brought_in(tmp_path, rows, source=source)
    assert manifest["known_history_events"] == 3 / 7
    assert manifest["empty_histories"]["train"] == 0.25 and manifest["rules"]["history"] == "as the source has it"
    (warning,) = [text for text in manifest["warnings"] if "candidate" in text]
    assert warning.startswith("42.9% of the events of histories are ever a candidate: check the separator and the type")


def test_events_that_are_mostly_candidates(tmp_path: Path) -> None:
    rows, source = own_histories([7, 0], [3, 2], [3, 5], [1])
    manifest, _ = brought_in(tmp_path, rows, source=source)
    assert manifest["known_history_events"] == 5 / 7 and not [text for text in manifest["warnings"] if "candidate" in text]


def test_the_length_of_a_history_has_no_effect_on_those_of_the_source(tmp_path: Path) -> None:
    rows, source = own_histories([1], [2])
    with pytest.raises(InputError, match="list has histories of its own, which are taken as they are: leave out --history"):
        brought_in(tmp_path, rows, source=source, history_length=1)


@pytest.mark.parametrize(
    ("train", "evaluation", "words"),
    [
        (0, 5, "all impressions of train are without a click: din run refuses that; check the label"),
        (5, 10, "all impressions of eval are clicks: din run refuses that; check the label"),
        (2, 5, "the click rate of eval (50.0%) is far from that of train (20.0%): check that the two hold the same kind of impressions"),
        (7, 3, "the click rate of eval (30.0%) is far from that of train (70.0%): check that the two hold the same kind of impressions"),
        (3, 6, None),
    ],
)
def test_click_rates(tmp_path: Path, train: int, evaluation: int, words: str | None) -> None:
    """Ten rows in each split, of which so many are clicks; validation has five."""
    clicks = {0: train, 1: 5, 2: evaluation}
    rows = [event(1 + i % 2, i, YEAR_2020 + split * 1000 + i, int(i < clicks[split]), split=split) for split in clicks for i in range(10)]
    warnings = [text for text in warned(tmp_path, rows) if "histories" not in text]
    assert warnings == ([words] if words else [])


def test_a_user_and_an_item_that_many_rows_have(tmp_path: Path) -> None:
    """200 usual users have 2,000 rows; 300 more rows have user 999 and item 7, which has 66 or 67 of the others."""
    more = [event(999, 7, YEAR_2020 + 600 + i, i % 2) for i in range(300)]
    user, *item = warned(tmp_path, [*usual_rows(200), *more])
    assert user == "the user 999 has 13.0% of the rows: check whether this id means that the user is not known"
    assert item == []  # 16 % of the rows, but there are only 30 items


def test_the_largest_item_is_counted_with_and_without_clicks(tmp_path: Path) -> None:
    rows = [event(user, item, YEAR_2020 + item, 0) for user in range(8) for item in (5, 6 + user)] + [event(1, 6, YEAR_2020, 1)]
    manifest, _ = brought_in(tmp_path, rows)
    assert manifest["largest_item"] == {"item": 5, "interactions": 8}


def text_rows(**changes: dict[int, Any]) -> list[Row]:
    """Usual rows with ids that are text, of which some are replaced: feature -> number of the row -> value."""
    rows = [
        {**row, "user_id": b"u%d" % row["user_id"], "candidate_item_id": b"i%d" % row["candidate_item_id"], "place": b"x"}
        for row in ({**row, "candidate_category_id": b"c%d" % row["candidate_category_id"]} for row in usual_rows())
    ]
    for name, values in changes.items():
        for number, value in values.items():
            rows[number][name] = value
    return rows


def test_texts_that_often_mean_that_there_is_no_value(tmp_path: Path) -> None:
    """Case 8 of the issue: NA as a user, NULL as a category, -1 in a side feature."""
    rows = text_rows(user_id={0: b"NA", 1: b"NA"}, candidate_category_id={3: b"NULL"}, place={4: b"nan", 5: None})
    for number, row in enumerate(rows):
        row["age"] = -1 if number < 7 else 30
    manifest, _ = brought_in(tmp_path, rows, source={"types": BYTES, "name": "clicklog"})
    assert manifest["values"]["missing_markers"] == [
        {"feature": "age", "text": "-1", "count": 7},
        {"feature": "candidate_category_id", "text": "NULL", "count": 1},
        {"feature": "place", "text": "nan", "count": 1},
        {"feature": "user_id", "text": "NA", "count": 2},
    ]
    assert manifest["values"]["missing"] == {"place": 1 / 200} and "without a value: place 0.5%" in list(lines(manifest))
    assert manifest["warnings"][-1] == (
        'user_id is "NA" in 2 values: if that means that there is no value, list it in [missing] of the mapping'
    )


def test_blanks_at_the_ends_of_ids(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, text_rows(user_id={0: b" u0", 9: b"u0 "}), source={"types": BYTES})
    assert warning == "user_id begins or ends with a blank in 2 values, and values with and without it are different: remove it"


def test_long_ids_that_excel_has_rounded(tmp_path: Path) -> None:
    """Hexadecimal ids such as 68e12345 are none."""
    (warning,) = warned(tmp_path, text_rows(user_id={0: b"1.23457E+15", 9: b"1.2E+15", 12: b"68e12345"}), source={"types": BYTES})
    assert warning == (
        "user_id is a rounded number such as 1.23E+15 in 2 values, so several ids may be one: export the data again, as text"
    )


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        (101, "candidate_category_id is (unknown) in 50.5% of the rows: check the column or the file that gives it"),
        (100, None),
    ],
)
def test_categories_that_the_source_does_not_know(tmp_path: Path, unknown: int, words: str | None) -> None:
    """Case 3 of the issue: every category was (unknown), and nothing said so."""
    rows = text_rows(candidate_category_id=dict.fromkeys(range(unknown), b"(unknown)"))
    warnings = warned(tmp_path, rows, source={"types": BYTES})
    assert warnings == ([words] if words else [])


def test_one_category_for_all_items(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, text_rows(candidate_category_id=dict.fromkeys(range(200), b"c")), source={"types": BYTES})
    assert warning.startswith("candidate_category_id has the same value for all items, so nothing can be learnt from it")


def test_a_feature_that_is_missing_nearly_everywhere(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, text_rows(place=dict.fromkeys(range(190))), source={"types": BYTES})
    assert warning == "place is missing in 95.0% of the rows: check the column"


def test_categories_that_are_replaced_are_counted(tmp_path: Path) -> None:
    """Where negatives are drawn, an item has the category of its first row. Item 1 comes with 1, 7 and 7."""
    rows = [event(u, item, YEAR_2020 + i) for i, (u, item) in enumerate([(1, 1), (1, 2), (2, 1), (2, 3), (3, 1), (3, 2), (3, 4)])]
    rows[2]["candidate_category_id"] = rows[4]["candidate_category_id"] = 7
    manifest, _ = brought_in(tmp_path, rows, source={"has_negatives": False})
    assert manifest["fields_of_first_row"] == {"candidate_category_id": 2}
    assert "  2 have another candidate_category_id than their item's first row, and got that of the first row" in list(lines(manifest))
