"""What a mapping says of a click log: its labels, its times and its table of items; and the mappings of public sets on hand-made files."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.by_name import find_mapping
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import refusal, rows_of, source_of
from tests.pipeline.datasets.sources.clicklog.one_log import COLUMNS, LOG, PLAIN, write


def test_without_label_and_time_all_rows_are_clicks_in_their_order(tmp_path):
    source = source_of(write(tmp_path / "log.csv", LOG), PLAIN)
    assert rows_of(source) == [
        {"label": 1, "user_id": b"7", "candidate_item_id": b"a1"},
        {"label": 1, "user_id": b"0", "candidate_item_id": b"a2"},
    ]
    assert (source.has_negatives, source.history) == (False, "before")
    assert source.rules["time"] == "the order of the rows" and source.rules["label"] == "each row is a click"


@pytest.mark.parametrize(
    "label, expected, dropped",
    [
        ('positive = ["click", "buy"]', [1, 0, 1, 0], 0),
        ('positive = ["click", "buy"]\nnegative = ["view"]', [1, 0, 1], 1),
        ('positive = ["buy"]\nnegative = []', [1], 3),
    ],
)
def test_words_are_labels(tmp_path, label, expected, dropped):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": n, "event": e} for n, e in enumerate(["click", "view", "buy", "scroll"])])
    source, tally = source_of(log, f'{PLAIN}[label]\ncolumn = "event"\n{label}'), Tally()
    assert [row["label"] for row in rows_of(source, tally)] == expected
    assert tally.dropped == ({"neither positive nor negative": dropped} if dropped else {})
    assert source.has_negatives == ("negative = []" not in label)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_numbers_are_labels_from_a_bound_up(tmp_path, suffix):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 1, "stars": stars} for stars in (3.9, 4.0, 5.0)])
    assert [row["label"] for row in rows_of(source_of(log, f'{PLAIN}[label]\ncolumn = "stars"\nat_least = 4'))] == [0, 1, 1]


@pytest.mark.parametrize("values", [[0, 1], [False, True], [0.0, 1.0]])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_0_and_1_are_labels_in_all_their_spellings(tmp_path, suffix, values):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 1, "clk": value} for value in values])
    assert [row["label"] for row in rows_of(source_of(log, f'{PLAIN}label = "clk"'))] == [0, 1]


@pytest.mark.parametrize(
    "positive, value",
    [
        ("true", True),
        ("true", "True"),
        ('"true"', True),
        ('"True"', "true"),
        ("1", 1),
        ("1", 1.0),
        ("1", "1.0"),
        ("1", "1"),
        ('"1"', 1.0),
        ('"1.0"', 1),
        ("-1", -1.0),
        ('"2.5"', 2.5),
        ('"click"', " click "),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_words_are_compared_whatever_their_type(tmp_path, suffix, positive, value):
    """0, false and "no" are never among the positive values."""
    other = {bool: False, str: "no"}.get(type(value), type(value)(0))
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 1, "event": event} for event in (value, other)])
    for more in ("", "negative = [0, false, 'no']\n"):
        source = source_of(log, f'{PLAIN}[label]\ncolumn = "event"\npositive = [{positive}]\n{more}')
        assert [row["label"] for row in rows_of(source)] == [1, 0]


@pytest.mark.parametrize("more", ["", 'negative = ["view"]', "negative = []"])
def test_a_log_without_any_positive_value_is_refused(tmp_path, more):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": 1, "event": "click"}, {"uid": 1, "ad": 2, "event": "view"}])
    mapping = f'{PLAIN}[label]\ncolumn = "event"\npositive = ["clik", 1]\n{more}'
    assert refusal(log, mapping) == f"{log}: event is never clik, 1: correct label.positive in {tmp_path / 'mapping.toml'}."
    (tmp_path / "log").mkdir()
    for name in ("a.csv", "b.csv"):  # one of several files may well be without
        write(tmp_path / "log" / name, [{"uid": 1, "ad": 1, "event": "view"}])
    assert {row["label"] for row in rows_of(source_of(tmp_path / "log", mapping))} <= {0}


@pytest.mark.parametrize(
    "unit, value, expected",
    [
        ("s", "1500000000", 1_500_000_000),
        ("s", "1500000000.9", 1_500_000_000),
        ("us", "1500000000999999", 1_500_000_000),
        ("iso", "2017-07-14T02:40:00", 1_500_000_000),
        ("iso", "2017-07-14T02:40:00.5Z", 1_500_000_000),
        ("iso", "2017-07-14 04:40:00+02:00", 1_500_000_000),
        ("iso", "2017-07-14 02:40:00 GMT", 1_500_000_000),
        ("iso", "2017-07-14 02:40:00,987", 1_500_000_000),
        ("iso", "1970-01-02", 86_400),
    ],
)
def test_times(tmp_path, unit, value, expected):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": 1, "ts": value}])
    assert rows_of(source_of(log, f'{PLAIN}timestamp = "ts"\n[timestamp]\nunit = "{unit}"'))[0]["timestamp"] == expected


def test_times_of_parquet_need_no_unit(tmp_path):
    moment = datetime(2017, 7, 14, 2, 40, 0, 999_999, UTC)
    table = pa.table({"uid": [1] * 3, "ad": [1] * 3, "ts": [moment, moment.replace(tzinfo=None), moment]})
    for number, kind in enumerate((pa.timestamp("us"), pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("ns"))):
        pq.write_table(table.set_column(2, "ts", table["ts"].cast(kind, safe=False)), tmp_path / "log.parquet")
        source = source_of(tmp_path / "log.parquet", f'{PLAIN}timestamp = "ts"')
        assert [row["timestamp"] for row in rows_of(source)] == [1_500_000_000] * 3, number


def test_the_rules_say_what_a_second_is(tmp_path):
    source = source_of(write(tmp_path / "log.csv", LOG), COLUMNS)
    assert source.rules["time"] == (
        "ts in whole seconds, rounded down: within a second the order of the rows counts; rows with the same user, item, second "
        "and request count once"
    )


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("s", "UTC"), pa.date32()])
def test_times_of_parquet_that_python_has_none_for_are_broken(tmp_path, kind):
    """In the year 10000, and before the year 1."""
    a_day = {"us": 86_400_000_000, "s": 86_400}.get(getattr(kind, "unit", ""), 1) if kind != pa.date32() else 1
    whole = pa.int32() if kind == pa.date32() else pa.int64()
    times = pa.array([a_day, 2_932_897 * a_day, -800_000 * a_day, 2 * a_day], whole).cast(kind)
    pq.write_table(pa.table({"uid": [1] * 4, "ad": [1] * 4, "ts": times}), tmp_path / "log.parquet")
    mapping, tally = f'{PLAIN}timestamp = "ts"', Tally(skip_broken=True)
    message = refusal(tmp_path / "log.parquet", mapping)
    assert "log.parquet, row 2: ts is (" in message and ", but must be a time until 2100 in unix seconds" in message
    assert [row["timestamp"] for row in rows_of(source_of(tmp_path / "log.parquet", mapping), tally)] == [86_400, 172_800]
    assert tally.dropped == {"broken lines": 2}


SIDE = '[items]\nfile = "items.csv"\nid = "item"\ncolumns = { candidate_category_id = "cate" }\n'


def test_a_side_table_gives_the_category(tmp_path):
    log = write(tmp_path / "log.jsonl", [{"uid": 1, "ad": ad} for ad in (5, "6", 7)])
    write(tmp_path / "items.csv", [{"item": 5, "cate": "x"}, {"item": 6, "cate": ""}, {"item": 5, "cate": "later"}])
    assert [row["candidate_category_id"] for row in rows_of(source_of(log, PLAIN + SIDE))] == [b"x", b"(unknown)", b"(unknown)"]
    message = refusal(log, f'{PLAIN}{SIDE}[types]\ncandidate_category_id = "int64"')
    assert "items.csv, line 2: cate is 'x', but must be a whole number from 0 up: correct or remove the line" in message
    (tmp_path / "items.csv").write_text("item,cate\n5\n")
    assert "items.csv, line 2: it has 1 value(s) where the header has 2: correct or remove the line, or drop" in refusal(log, PLAIN + SIDE)
    (tmp_path / "items.csv").unlink()
    assert "items.csv is missing" in refusal(log, PLAIN + SIDE)


def test_a_side_table_is_joined_by_the_type_of_the_id(tmp_path):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": ad} for ad in ("1", "01", "2")])
    write(tmp_path / "items.csv", [{"item": "01", "cate": "x"}, {"item": "2", "cate": "y"}])
    assert [row["candidate_category_id"] for row in rows_of(source_of(log, PLAIN + SIDE))] == [b"(unknown)", b"x", b"y"]
    numbers = f'{PLAIN}{SIDE}[types]\ncandidate_item_id = "int64"'
    assert [row["candidate_category_id"] for row in rows_of(source_of(log, numbers))] == [b"x", b"x", b"y"]
    write(tmp_path / "items.csv", [{"item": 1, "cate": "x"}, {"item": "b", "cate": "y"}])
    assert "items.csv, line 3: item is 'b', but must be a whole number from 0 up: correct or remove the line, or drop" in refusal(
        log, numbers
    )


@pytest.mark.parametrize("value", [["a"], {"b": 1}])
def test_a_side_table_holds_one_value_a_field(tmp_path, value):
    log = write(tmp_path / "log.jsonl", [{"uid": 1, "ad": 5}])
    write(tmp_path / "items.jsonl", [{"item": 6, "cate": "c"}, {"item": 5, "cate": value}])
    message = refusal(log, PLAIN + SIDE.replace("items.csv", "items.jsonl"))
    assert f"items.jsonl, line 2: cate is {value!r}, but must be a single value: correct or remove the line" in message


@pytest.mark.parametrize("items", ["item,cate\n", "item,cate\n,c\n"])
def test_a_side_table_without_items_is_refused(tmp_path, items):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": 5}])
    (tmp_path / "items.csv").write_text(items)
    source = source_of(log, PLAIN + SIDE)
    with pytest.raises(InputError, match=r"items\.csv holds no rows that can be read: download it again\."):
        rows_of(source, Tally(skip_broken=True))


def test_a_side_table_in_the_folder_is_no_log(tmp_path):
    (tmp_path / "log").mkdir()
    log = write(tmp_path / "log" / "log.csv", [{"uid": 1, "ad": 5}])
    write(tmp_path / "log" / "items.csv", [{"item": 5, "cate": "x"}])
    assert source_of(tmp_path / "log", PLAIN + SIDE).files() == [log]


def test_taobao_ads(tmp_path):
    """Rows written by hand: nonclk is 1 - clk; ad 3 has no brand."""
    (tmp_path / "raw_sample.csv").write_text(
        "user,time_stamp,adgroup_id,pid,nonclk,clk\n581738,1494137644,1,430548_1007,1,0\n449818,1494638778,3,430548_1007,0,1\n"
    )
    (tmp_path / "ad_feature.csv").write_text(
        "adgroup_id,cate_id,campaign_id,customer,brand,price\n1,9025,108570,1,95471,170.0\n3,6261,387991,6,NULL,199.0\n"
    )
    source = ClickLog(tmp_path / "raw_sample.csv", find_mapping("taobao_ads"))
    common = {"pid": b"430548_1007"}
    assert rows_of(source) == [
        common | {"label": 0, "user_id": 581738, "timestamp": 1494137644, "candidate_item_id": 1, "candidate_category_id": 9025},
        common | {"label": 1, "user_id": 449818, "timestamp": 1494638778, "candidate_item_id": 3, "candidate_category_id": 6261},
    ]
    assert source.has_negatives and source.history == "earlier"


def test_taobao_ad_x1(tmp_path):
    header = (
        "clk,btag_his,cate_his,brand_his,userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,"
        "occupation,new_user_class_level,adgroup_id,cate_id,campaign_id,customer,brand,price,pid,btag\n"
    )
    (tmp_path / "train.csv").write_text(header + "1,1^3,4520^6426,7^9,25,0,2,1,2,0,3,0,3,87,4520,12,13,7,28.5,1,1\n")
    (tmp_path / "test.csv").write_text(header + "0,,,,26,0,2,1,2,0,3,0,3,87,4520,12,13,7,28.5,2,1\n")
    source = ClickLog(tmp_path, find_mapping("taobao_ad_x1"))
    train, test = rows_of(source)
    assert (train["label"], test["label"], train["split"], test["split"]) == (1, 0, 0, 2)
    assert (train["user_id"], train["candidate_item_id"], train["candidate_category_id"]) == (b"25", b"87", b"4520")
    assert (train["historical_category_ids"], train["historical_brand_ids"]) == ([b"4520", b"6426"], [b"7", b"9"])
    assert train["historical_btag_ids"] == [b"1", b"3"] and test["historical_category_ids"] == []
    assert (train["price"], train["candidate_brand_id"], train["shopping_level"], train["pid"]) == (28.5, b"7", b"3", b"1")
    assert source.has_negatives and source.history == "before"
