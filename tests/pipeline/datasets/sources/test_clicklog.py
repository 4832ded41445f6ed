"""One log in every format, the mappings of public sets on hand-made files, and every kind of fault in a log or its mapping."""

import csv
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.by_name import find_mapping
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.tables import raw_rows

COLUMNS = """
[columns]
user_id = "uid"
candidate_item_id = "ad"
candidate_category_id = "cate"
timestamp = "ts"
request_id = "req"
label = "clk"
age_group = "age"
price = "price"

[types]
user_id = "int64"
price = "float"

[timestamp]
unit = "ms"

[histories]
historical_item_ids = { column = "his", separator = "^" }
"""
LOG = [
    {"uid": 7, "ad": "a1", "cate": "c", "ts": 1_500_000_000_999, "req": "r1", "clk": 1, "age": "é", "price": 1.5, "his": ["a2", "a3"]},
    {"uid": 0, "ad": "a2", "cate": None, "ts": 1_400_000_000_000, "req": "r1", "clk": 0, "age": None, "price": None, "his": []},
]
ROWS = [
    {
        "user_id": 7,
        "candidate_item_id": b"a1",
        "candidate_category_id": b"c",
        "timestamp": 1_500_000_000,
        "request_id": b"r1",
        "label": 1,
        "age_group": "é".encode(),
        "price": 1.5,
        "historical_item_ids": [b"a2", b"a3"],
    },
    {
        "user_id": 0,
        "candidate_item_id": b"a2",
        "candidate_category_id": b"(unknown)",
        "timestamp": 1_400_000_000,
        "request_id": b"r1",
        "label": 0,
        "age_group": None,
        "price": None,
        "historical_item_ids": [],
    },
]
PLAIN = '[columns]\nuser_id = "uid"\ncandidate_item_id = "ad"\n'

Rows = list[dict[str, Any]]


def write_csv(path: Path, log: Rows, separator: str = ",") -> None:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows([{k: "^".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in log])


def write(path: Path, log: Rows) -> Path:
    """Writes a log in the format of the suffix."""
    suffix = path.name.removesuffix(".gz").rpartition(".")[2]
    if suffix in ("csv", "tsv"):
        write_csv(path, log, "\t" if suffix == "tsv" else ",")
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(log), path)
    else:
        text = "".join(json.dumps(row) + "\n" for row in log).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def source_of(log: Path, mapping: str) -> ClickLog:
    path = log.parent / "mapping.toml"
    path.write_text(mapping)
    return ClickLog(log, path)


def rows(source: ClickLog, tally: Tally | None = None) -> Rows:
    batches = [batch for file in source.files() for batch in source.read(file, tally or Tally())]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def refusal(log: Path, mapping: str) -> str:
    with pytest.raises(InputError) as error:
        rows(source_of(log, mapping))
    return str(error.value)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "jsonl", "json", "jsonl.gz", "parquet"])
def test_every_format_gives_the_same(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(raw_rows, "BATCH_SIZE", 1)
    source = source_of(write(tmp_path / f"log.{suffix}", LOG), COLUMNS)
    assert rows(source) == ROWS
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("clicklog", True, "earlier", "all")
    assert source.schema.field("price").type == pa.float32()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_size_of_batches_changes_nothing(tmp_path, suffix, monkeypatch):
    """Batches are parts of longer columns, for which some functions of Arrow are wrong."""
    log = [
        {
            "uid": row % 5,
            "ad": f"a{row}",
            "cate": None if row % 3 else f"c{row}",
            "ts": 1_500_000_000_000 + row,
            "req": f"r{row}",
            "clk": row % 2,
            "age": None if row % 7 == 0 else f"age {row}",
            "price": None if row % 4 else row / 4,
            "his": [] if row % 5 == 0 else [f"h{row}", f"i{row}", ""],
        }
        for row in range(100)
    ]
    source = source_of(write(tmp_path / f"log.{suffix}", log), COLUMNS)
    whole = rows(source)
    assert [row["age_group"] for row in whole] == [None if row % 7 == 0 else f"age {row}".encode() for row in range(100)]
    assert [row["historical_item_ids"] for row in whole] == [
        [] if row % 5 == 0 else [f"h{row}".encode(), f"i{row}".encode()] for row in range(100)
    ]
    for size in (1, 7, 64):
        monkeypatch.setattr(raw_rows, "BATCH_SIZE", size)
        assert rows(source) == whole


def test_a_folder_is_read_file_by_file(tmp_path):
    for name in ("b.csv", "a.jsonl", "c/d.parquet"):
        (tmp_path / "log" / name).parent.mkdir(exist_ok=True, parents=True)
        write(tmp_path / "log" / name, LOG)
    for name in ("_SUCCESS", ".hidden.csv", "notes.txt"):
        (tmp_path / "log" / name).write_text("no table")
    source = source_of(tmp_path / "log", COLUMNS)
    assert [file.name for file in source.files()] == ["a.jsonl", "b.csv", "d.parquet"]
    assert rows(source) == ROWS * 3


def test_without_label_and_time_all_rows_are_clicks_in_their_order(tmp_path):
    source = source_of(write(tmp_path / "log.csv", LOG), PLAIN)
    assert rows(source) == [
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
    assert [row["label"] for row in rows(source, tally)] == expected
    assert tally.dropped == ({"neither positive nor negative": dropped} if dropped else {})
    assert source.has_negatives == ("negative = []" not in label)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_numbers_are_labels_from_a_bound_up(tmp_path, suffix):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 1, "stars": stars} for stars in (3.9, 4.0, 5.0)])
    assert [row["label"] for row in rows(source_of(log, f'{PLAIN}[label]\ncolumn = "stars"\nat_least = 4'))] == [0, 1, 1]


@pytest.mark.parametrize("values", [[0, 1], [False, True], [0.0, 1.0]])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_0_and_1_are_labels_in_all_their_spellings(tmp_path, suffix, values):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 1, "clk": value} for value in values])
    assert [row["label"] for row in rows(source_of(log, f'{PLAIN}label = "clk"'))] == [0, 1]


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
        assert [row["label"] for row in rows(source)] == [1, 0]


@pytest.mark.parametrize("more", ["", 'negative = ["view"]', "negative = []"])
def test_a_log_without_any_positive_value_is_refused(tmp_path, more):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": 1, "event": "click"}, {"uid": 1, "ad": 2, "event": "view"}])
    mapping = f'{PLAIN}[label]\ncolumn = "event"\npositive = ["clik", 1]\n{more}'
    assert refusal(log, mapping) == f"{log}: event is never clik, 1: correct label.positive in {tmp_path / 'mapping.toml'}."
    (tmp_path / "log").mkdir()
    for name in ("a.csv", "b.csv"):  # one of several files may well be without
        write(tmp_path / "log" / name, [{"uid": 1, "ad": 1, "event": "view"}])
    assert {row["label"] for row in rows(source_of(tmp_path / "log", mapping))} <= {0}


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
    assert rows(source_of(log, f'{PLAIN}timestamp = "ts"\n[timestamp]\nunit = "{unit}"'))[0]["timestamp"] == expected


def test_times_of_parquet_need_no_unit(tmp_path):
    moment = datetime(2017, 7, 14, 2, 40, 0, 999_999, UTC)
    table = pa.table({"uid": [1] * 3, "ad": [1] * 3, "ts": [moment, moment.replace(tzinfo=None), moment]})
    for number, kind in enumerate((pa.timestamp("us"), pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("ns"))):
        pq.write_table(table.set_column(2, "ts", table["ts"].cast(kind, safe=False)), tmp_path / "log.parquet")
        source = source_of(tmp_path / "log.parquet", f'{PLAIN}timestamp = "ts"')
        assert [row["timestamp"] for row in rows(source)] == [1_500_000_000] * 3, number


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
    assert [row["timestamp"] for row in rows(source_of(tmp_path / "log.parquet", mapping), tally)] == [86_400, 172_800]
    assert tally.dropped == {"broken lines": 2}


def test_parquet_with_text_that_is_no_utf_8(tmp_path):
    text = pa.array([b"a", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"uid": [1, 1], "ad": text}), tmp_path / "log.parquet")
    assert "log.parquet, row 2: ad holds b'\\xff', which is not text in UTF-8: correct or remove the row" in refusal(
        tmp_path / "log.parquet", PLAIN
    )


def test_parquet_with_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1])] * 3, names=["uid", "ad", "ad"])
    pq.write_table(table, tmp_path / "log.parquet")
    assert "log.parquet has several columns 'ad': rename all but one." in refusal(tmp_path / "log.parquet", PLAIN)


def test_decimals_of_parquet_are_floats(tmp_path):
    clicks, prices = pa.array([Decimal(1), Decimal(0)], pa.decimal128(3, 0)), pa.array([Decimal("1.50"), None], pa.decimal128(5, 2))
    pq.write_table(pa.table({"uid": [1, 1], "ad": [1, 1], "clk": clicks, "price": prices}), tmp_path / "log.parquet")
    found = rows(source_of(tmp_path / "log.parquet", f'{PLAIN}label = "clk"\nprice = "price"\n[types]\nprice = "float"'))
    assert [(row["label"], row["price"]) for row in found] == [(1, 1.5), (0, None)]


def test_broken_lines_are_named_in_the_order_of_the_file(tmp_path):
    """Lines that are not rows, between lines whose values are broken."""
    sound = '{"uid": 1, "ad": 2}'
    lines = ['{"uid": "x", "ad": 2}', "{", sound, '{"uid": "y", "ad": 2}', "[]"]
    faults = ["x", None, "y", None]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    (tmp_path / "log.csv").write_text("uid,ad\nx,2\n1\n1,2\ny,2\n1\r1,2")
    for name, begin in (("log.jsonl", 1), ("log.csv", 2)):
        tally = Tally(skip_broken=True)
        mapping = f'{PLAIN}[types]\nuser_id = "int64"'
        assert len(rows(source_of(tmp_path / name, mapping), tally)) == 1
        assert tally.dropped == {"broken lines": 4} and len(tally.broken) == len(faults)
        for line, fault, named in zip((0, 1, 3, 4), faults, tally.broken, strict=True):
            assert named.startswith(f"{name}, line {begin + line}: {f'uid is {fault!r}' if fault else 'it '}")
        assert f"{name}, line {begin}: uid is 'x'" in refusal(tmp_path / name, mapping)


@pytest.mark.parametrize("fault, column, value", [
    ("uid is 'x', but must be a whole number from 0 up", "uid", "x"),
    ("uid is '-1', but must be a whole number from 0 up", "uid", "-1"),
    ("uid is '9223372036854775808', but must be a whole number", "uid", str(2**63)),
    ("uid is '1_0', but must be a whole number", "uid", "1_0"),
    ("uid is missing, but must be a whole number from 0 up", "uid", ""),
    ("ad is missing, but must be text or a whole number", "ad", ""),
    ("ts is '1500000000000000', but must be a time until 2100 in unix milliseconds", "ts", "1500000000000000"),
    ("ts is 'inf', but must be a time", "ts", "inf"),
    ("ts is missing, but must be a time", "ts", ""),
    ("req is missing, but must be", "req", ""),
    ("clk is '2', but must be 0 or 1", "clk", "2"),
    ("clk is missing, but must be 0 or 1", "clk", ""),
    ("price is 'cheap', but must be a number", "price", "cheap"),
    ("price is 'inf', but must be a number", "price", "inf"),
    ("his is 'a^b\\nc', but must be a list separated by '^' (text or a whole number each)", "his", "a^b\nc"),
])  # fmt: skip
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_broken_rows_are_named_or_counted(tmp_path, suffix, fault, column, value):
    texts = [{k: "^".join(v) if isinstance(v, list) else "" if v is None else str(v) for k, v in row.items()} for row in LOG]
    log = write(tmp_path / f"log.{suffix}", [texts[0], {**texts[0], column: value}, texts[1]])
    place = {"csv": "line 3", "jsonl": "line 2", "parquet": "row 2"}[suffix]
    assert f"log.{suffix}, {place}: {fault}" in refusal(log, COLUMNS)
    assert f"correct or remove the {place[:-2]}, or drop such {place[:-2]}s with --skip-broken" in refusal(log, COLUMNS)
    tally = Tally(skip_broken=True)
    assert rows(source_of(log, COLUMNS), tally) == ROWS
    assert tally.dropped == {"broken lines": 1}


@pytest.mark.parametrize(
    "suffix, line, fault",
    [
        ("csv", b"1,2,3", "it has 3 value(s) where the header has 2"),
        ("csv", b'"1,2', 'the quoted value that begins with "1,2 does not end; where quotes are part of the text, a click log needs'),
        (
            "csv",
            b'"1"2,2',
            "the quoted value that begins with \"1\"2,2 is not followed by the separator ','; where quotes are part of the text",
        ),
        ("csv", b"1,\xff", "ad is b'\\xff', which is not text in UTF-8 (of a click log, set files.encoding in the mapping)"),
        ("csv", b"1\r2,2", "it has a carriage return (CR) in a value that is not quoted"),
        ("jsonl", b'{"uid": ', "it is not a JSON object; each line"),
        ("jsonl", b"[1, 2]", "it is not a JSON object"),
        ("jsonl", b'{"uid": {"id": 1}, "ad": 2}', "uid is {'id': 1}, but must be a single value"),
        ("jsonl", b'{"uid": [1], "ad": 2}', "uid is [1], but must be a single value"),
        ("jsonl", b'{"uid": 1.5, "ad": 2}', "uid is 1.5, but must be text or a whole number"),
        ("jsonl", b'{"uid": "\\ud800", "ad": 2}', "uid is '\\ud800', which is not text in UTF-8"),
        ("jsonl", b'{"ad": 2}', "uid is missing"),
    ],
)
def test_lines_that_are_no_rows_are_named_or_counted(tmp_path, suffix, line, fault):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "ad": 2}])
    log.write_bytes(log.read_bytes() + b"\r\n" + line + b"\n")
    assert f"line {4 if suffix == 'csv' else 3}: {fault}" in refusal(log, PLAIN)
    tally = Tally(skip_broken=True)
    assert len(rows(source_of(log, PLAIN), tally)) == 1
    assert tally.dropped == {"broken lines": 1}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path, suffix):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "item": 2}])
    assert "has no column 'ad' (it has: uid, item): name one of these" in refusal(log, PLAIN)


def test_a_key_that_no_json_line_has_is_refused(tmp_path):
    log = write(tmp_path / "log.jsonl", [{"uid": 1, "ad": 2}, {"uid": 1, "ad": 2, "age": 3}])
    assert [row["age"] for row in rows(source_of(log, f'{PLAIN}age = "age"'))] == [None, b"3"]
    assert "has no column 'agee' (it has: uid, ad, age)" in refusal(log, f'{PLAIN}age = "agee"')


def test_encodings_and_separators(tmp_path):
    log = tmp_path / "log.csv"
    log.write_bytes("\ufeffuid;ad\n1;é\n".encode())
    assert rows(source_of(log, f'{PLAIN}[files]\nseparator = ";"'))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes("uid,ad\n1,é\n".encode("latin-1"))
    assert rows(source_of(log, f'{PLAIN}[files]\nencoding = "latin-1"'))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes("uid,ad\n1,é\n".encode("utf-16"))
    assert rows(source_of(log, f'{PLAIN}[files]\nencoding = "utf-16"'))[0]["candidate_item_id"] == "é".encode()
    assert 'log.csv looks like UTF-16: convert it to UTF-8 (or, of a click log, set files.encoding = "utf-16"' in refusal(log, PLAIN)
    log.write_bytes("uid,ad\r1,é\r".encode())
    assert rows(source_of(log, PLAIN))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes(b"uid,ad\n1,2\n")
    assert "cannot be read as utf-16" in refusal(log, f'{PLAIN}[files]\nencoding = "utf-16"')


def test_unreadable_files_are_refused(tmp_path):
    log = write(tmp_path / "log.csv.gz", LOG * 100)
    log.write_bytes(log.read_bytes()[:-20])
    assert "cannot be read" in refusal(log, PLAIN) and "download it again" in refusal(log, PLAIN)
    (tmp_path / "log.parquet").write_bytes(b"PAR1 but no more")
    assert "log.parquet cannot be read" in refusal(tmp_path / "log.parquet", PLAIN)
    (tmp_path / "log.xlsx").write_bytes(b"")
    assert "its name must end in .csv, .tsv, .jsonl" in refusal(tmp_path / "log.xlsx", PLAIN)
    (tmp_path / "log.csv").write_text("")
    assert "is empty" in refusal(tmp_path / "log.csv", PLAIN)
    (tmp_path / "log.csv").write_text("uid,ad,ad\n")
    assert "several columns 'ad'" in refusal(tmp_path / "log.csv", PLAIN)
    assert "nowhere is missing" in refusal(tmp_path / "nowhere", PLAIN)
    (tmp_path / "folder").mkdir()
    assert "folder holds no table" in refusal(tmp_path / "folder", PLAIN)


SIDE = '[items]\nfile = "items.csv"\nid = "item"\ncolumns = { candidate_category_id = "cate" }\n'


def test_a_side_table_gives_the_category(tmp_path):
    log = write(tmp_path / "log.jsonl", [{"uid": 1, "ad": ad} for ad in (5, "6", 7)])
    write(tmp_path / "items.csv", [{"item": 5, "cate": "x"}, {"item": 6, "cate": ""}, {"item": 5, "cate": "later"}])
    assert [row["candidate_category_id"] for row in rows(source_of(log, PLAIN + SIDE))] == [b"x", b"(unknown)", b"(unknown)"]
    message = refusal(log, f'{PLAIN}{SIDE}[types]\ncandidate_category_id = "int64"')
    assert "items.csv, line 2: cate is 'x', but must be a whole number from 0 up: correct or remove the line" in message
    (tmp_path / "items.csv").write_text("item,cate\n5\n")
    assert "items.csv, line 2: it has 1 value(s) where the header has 2: correct or remove the line, or drop" in refusal(log, PLAIN + SIDE)
    (tmp_path / "items.csv").unlink()
    assert "items.csv is missing" in refusal(log, PLAIN + SIDE)


def test_a_side_table_is_joined_by_the_type_of_the_id(tmp_path):
    log = write(tmp_path / "log.csv", [{"uid": 1, "ad": ad} for ad in ("1", "01", "2")])
    write(tmp_path / "items.csv", [{"item": "01", "cate": "x"}, {"item": "2", "cate": "y"}])
    assert [row["candidate_category_id"] for row in rows(source_of(log, PLAIN + SIDE))] == [b"(unknown)", b"x", b"y"]
    numbers = f'{PLAIN}{SIDE}[types]\ncandidate_item_id = "int64"'
    assert [row["candidate_category_id"] for row in rows(source_of(log, numbers))] == [b"x", b"x", b"y"]
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
        rows(source, Tally(skip_broken=True))


def test_data_sets_that_an_import_made_are_no_log(tmp_path):
    for name in ("log/a.csv", "log/made/log.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        write(tmp_path / name, LOG)
    made = tmp_path / "log" / "made"
    write(made / "sample.jsonl", LOG)
    (made / "manifest.json").write_text("{}")
    assert len(source_of(tmp_path / "log", COLUMNS).files()) == 4
    (made / "train").mkdir()
    assert source_of(tmp_path / "log", COLUMNS).files() == [tmp_path / "log" / "a.csv"]


def test_a_side_table_in_the_folder_is_no_log(tmp_path):
    (tmp_path / "log").mkdir()
    log = write(tmp_path / "log" / "log.csv", [{"uid": 1, "ad": 5}])
    write(tmp_path / "log" / "items.csv", [{"item": 5, "cate": "x"}])
    assert source_of(tmp_path / "log", PLAIN + SIDE).files() == [log]


def test_a_split_that_is_given(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for number, name in enumerate(("train-1.csv", "train-2.csv", "val.csv", "test.csv")):
        write(folder / name, [{"uid": number, "ad": 1}])
    split = '[files]\ntrain = ["train-*.csv"]\nvalidation = ["val.csv"]\neval = ["test.csv"]\n'
    assert [(row["user_id"], row["split"]) for row in rows(source_of(folder, PLAIN + split))] == [
        (b"0", 0),
        (b"1", 0),
        (b"2", 1),
        (b"3", 2),
    ]
    assert "has no file 'x.csv', which files.eval in" in refusal(folder, f'{PLAIN}[files]\ntrain = ["t*"]\neval = ["x.csv"]')
    (folder / "more").mkdir()
    assert "names: for all files of a folder, write more/**." in refusal(folder, f'{PLAIN}[files]\ntrain = ["more"]\neval = ["val.csv"]')
    assert "is in train and in eval" in refusal(folder, f'{PLAIN}[files]\ntrain = ["*.csv"]\neval = ["test.csv"]')
    assert "is not a folder, but [files]" in refusal(folder / "val.csv", PLAIN + split)


@pytest.mark.parametrize(
    "mapping, message",
    [
        ('[columns]\nuser_id = "uid"', "columns has no candidate_item_id: say which column holds it"),
        (PLAIN + '"a-b" = "x"', "'a-b' cannot be the name of a feature: use letters, digits and _, a letter first"),
        (PLAIN + 'split = "x"', "'split' cannot be the name of a feature"),
        (PLAIN + 'historical_item_ids = "x"', "columns.historical_item_ids is a history: set histories.historical_item_ids.column"),
        (PLAIN + '[histories]\ncart = { column = "x" }', "histories.cart must be called historical_…s"),
        (PLAIN + "[histories]\nhistorical_item_ids = {}", "histories.historical_item_ids.column: Field required"),
        (PLAIN + '[histories]\nhistorical_i = { column = "x", seperator = "^" }', "did you mean 'histories.historical_i.separator'?"),
        (PLAIN + '[lable]\ncolumn = "x"', "there is no key 'lable': did you mean 'label'?"),
        (PLAIN + '[label]\ncolum = "x"', "there is no key 'label.colum': did you mean 'label.column'?"),
        (PLAIN + "[label]\nat_least = 4", "it needs the column: set label.column"),
        (PLAIN + '[label]\ncolumn = "x"\nat_least = 4\npositive = ["a"]', "remove one"),
        (PLAIN + '[label]\ncolumn = "x"\nnegative = ["a"]', "negative needs positive"),
        (PLAIN + '[label]\ncolumn = "x"\npositive = ["1"]\nnegative = [1]', "'1' is positive and negative"),
        (PLAIN + 'label = "y"\n[label]\ncolumn = "x"', "the label is in columns.label and label.column: remove one"),
        (PLAIN + '[types]\nage = "int64"', "types.age names no feature with a type; features with a type are candidate_item_id, user_id"),
        (PLAIN + '[types]\nuser_id = "float"', "types.user_id is float, but ids are bytes or int64"),
        (PLAIN + '[types]\nuser_id = "int"', "types.user_id: Input should be 'bytes', 'int64' or 'float'"),
        (PLAIN + '[timestamp]\nunit = "h"', "timestamp.unit: Input should be 's', 'ms', 'us', 'ns' or 'iso'"),
        *[
            (
                f'{PLAIN}[files]\nencoding = "{name}"',
                f"files.encoding: it is not an encoding of text that Python knows (received '{name}').",
            )
            for name in ("utf-9", "hex", "rot13", "base64", "")
        ],
        (PLAIN + '[label]\ncolumn = "x"\npositive = [true]\nnegative = ["True"]', "'true' is positive and negative"),
        (PLAIN + '[label]\ncolumn = "x"\npositive = [[1]]', "label.positive"),
        (PLAIN + '[files]\ntrain = ["a"]', "a given split needs both train and eval"),
        (PLAIN + '[items]\nfile = "a"', "it needs file, id and columns"),
        (PLAIN + '[items]\nfile = "a"\nid = "b"\ncolumns = { brand = "c" }', "'brand' is not a further field of an item"),
        (PLAIN + 'candidate_b = "c"\n[items]\nfile = "a"\nid = "b"\ncolumns = { candidate_b = "c" }', "is in columns and in items.columns"),
        (PLAIN + "columns", "is not valid TOML"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path, mapping, message):
    assert message in refusal(write(tmp_path / "log.csv", LOG), mapping)


def test_a_missing_mapping_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml is missing: name the mapping of the columns with --mapping"):
        ClickLog(write(tmp_path / "log.csv", LOG), tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="a mapping is a TOML file in UTF-8"):
        ClickLog(tmp_path / "log.csv", tmp_path / "bad.toml")


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
    assert rows(source) == [
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
    train, test = rows(source)
    assert (train["label"], test["label"], train["split"], test["split"]) == (1, 0, 0, 2)
    assert (train["user_id"], train["candidate_item_id"], train["candidate_category_id"]) == (b"25", b"87", b"4520")
    assert (train["historical_category_ids"], train["historical_brand_ids"]) == ([b"4520", b"6426"], [b"7", b"9"])
    assert train["historical_btag_ids"] == [b"1", b"3"] and test["historical_category_ids"] == []
    assert (train["price"], train["candidate_brand_id"], train["shopping_level"], train["pid"]) == (28.5, b"7", b"3", b"1")
    assert source.has_negatives and source.history == "before"
