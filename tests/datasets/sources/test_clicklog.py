"""One log in every format, the mappings of public sets on hand-made files, and every kind of fault in a log or its mapping."""

import csv
import gzip
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.sources import clicklog_files
from pipeline.datasets.sources.clicklog import ClickLog
from pipeline.datasets.sources.interactions import Tally
from pipeline.errors import InputError
from tests.conftest import ROOT

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
    """The same log by suffix."""
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
    return pickle.loads(pickle.dumps(ClickLog(log, path)))


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
    monkeypatch.setattr(clicklog_files, "BATCH_SIZE", 1)
    source = source_of(write(tmp_path / f"log.{suffix}", LOG), COLUMNS)
    assert rows(source) == ROWS
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("clicklog", True, "earlier", "all")
    assert source.schema.field("price").type == pa.float32()


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
    "unit, value, expected",
    [
        ("s", "1500000000", 1_500_000_000),
        ("s", "1500000000.9", 1_500_000_000),
        ("us", "1500000000999999", 1_500_000_000),
        ("iso", "2017-07-14T02:40:00", 1_500_000_000),
        ("iso", "2017-07-14T02:40:00.5Z", 1_500_000_000),
        ("iso", "2017-07-14 04:40:00+02:00", 1_500_000_000),
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


@pytest.mark.parametrize("fault, column, value", [
    ("uid is 'x' where a whole number from 0 up belongs", "uid", "x"),
    ("uid is '-1' where a whole number from 0 up belongs", "uid", "-1"),
    ("uid is '9223372036854775808' where a whole number", "uid", str(2**63)),
    ("uid is '1_0' where a whole number", "uid", "1_0"),
    ("uid is missing where a whole number from 0 up belongs", "uid", ""),
    ("ad is missing where text or a whole number belongs", "ad", ""),
    ("ts is '1500000000000000' where a time until 2100 in unix milliseconds belongs", "ts", "1500000000000000"),
    ("ts is 'inf' where a time", "ts", "inf"),
    ("ts is missing where a time", "ts", ""),
    ("req is missing where", "req", ""),
    ("clk is '2' where 0 or 1 belongs", "clk", "2"),
    ("clk is missing where 0 or 1 belongs", "clk", ""),
    ("price is 'cheap' where a number belongs", "price", "cheap"),
    ("price is 'inf' where a number belongs", "price", "inf"),
    ("his is 'a^^b' where a list separated by '^' (text or a whole number each) belongs", "his", "a^^b"),
])  # fmt: skip
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_broken_rows_are_named_or_counted(tmp_path, suffix, fault, column, value):
    texts = [{k: "^".join(v) if isinstance(v, list) else "" if v is None else str(v) for k, v in row.items()} for row in LOG]
    log = write(tmp_path / f"log.{suffix}", [texts[0], {**texts[0], column: value}, texts[1]])
    number = 3 if suffix == "csv" else 2
    assert f"log.{suffix}, line {number}: {fault}" in refusal(log, COLUMNS)
    tally = Tally(skip_broken=True)
    assert rows(source_of(log, COLUMNS), tally) == ROWS
    assert tally.dropped == {"broken lines": 1}


@pytest.mark.parametrize(
    "suffix, line, fault",
    [
        ("csv", b"1,2,3", "it has 3 value(s) where the header has 2"),
        ("csv", b'"1,2', "it has 1 value(s) where the header has 2"),
        ("csv", b"1,\xff", "ad is '\\udcff' where text"),
        ("jsonl", b'{"uid": ', "it is no JSON object, one of which"),
        ("jsonl", b"[1, 2]", "it is no JSON object"),
        ("jsonl", b'{"uid": {"id": 1}, "ad": 2}', "uid is {'id': 1} where text or a whole number belongs"),
        ("jsonl", b'{"uid": [1], "ad": 2}', "uid is [1] where text or a whole number belongs"),
        ("jsonl", b'{"uid": 1.5, "ad": 2}', "uid is 1.5 where text or a whole number belongs"),
        ("jsonl", b'{"uid": "\\ud800", "ad": 2}', "uid is '\\ud800' where"),
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
    log.write_bytes(b"uid,ad\n1,2\n")
    assert "cannot be read as utf-16" in refusal(log, f'{PLAIN}[files]\nencoding = "utf-16"')


def test_unreadable_files_are_refused(tmp_path):
    log = write(tmp_path / "log.csv.gz", LOG * 100)
    log.write_bytes(log.read_bytes()[:-20])
    assert "cannot be read" in refusal(log, PLAIN) and "download it again" in refusal(log, PLAIN)
    (tmp_path / "log.parquet").write_bytes(b"PAR1 but no more")
    assert "log.parquet cannot be read" in refusal(tmp_path / "log.parquet", PLAIN)
    (tmp_path / "log.xlsx").write_bytes(b"")
    assert "its name is to end in .csv, .tsv, .jsonl" in refusal(tmp_path / "log.xlsx", PLAIN)
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
    assert "line 1: cate of items.csv is 'x' where a whole number from 0 up belongs" in message
    (tmp_path / "items.csv").write_text("item,cate\n5\n")
    assert "items.csv, line 2: it has 1 value(s) where the header has 2: mend or remove the line, since" in refusal(log, PLAIN + SIDE)
    (tmp_path / "items.csv").unlink()
    assert "items.csv is missing" in refusal(log, PLAIN + SIDE)


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
    assert "is in train and in eval" in refusal(folder, f'{PLAIN}[files]\ntrain = ["*.csv"]\neval = ["test.csv"]')
    assert "is no folder, but [files]" in refusal(folder / "val.csv", PLAIN + split)


@pytest.mark.parametrize(
    "mapping, message",
    [
        ('[columns]\nuser_id = "uid"', "columns has no candidate_item_id: say which column holds it"),
        (PLAIN + '"a-b" = "x"', "'a-b' cannot be the name of a feature: use letters, digits and _, a letter first"),
        (PLAIN + 'split = "x"', "'split' cannot be the name of a feature"),
        (PLAIN + 'historical_item_ids = "x"', "columns.historical_item_ids is a history: set histories.historical_item_ids.column"),
        (PLAIN + '[histories]\ncart = { column = "x" }', "histories.cart is to be called historical_…s"),
        (PLAIN + "[histories]\nhistorical_item_ids = {}", "histories.historical_item_ids.column: Field required"),
        (PLAIN + '[histories]\nhistorical_i = { column = "x", seperator = "^" }', "did you mean 'histories.historical_i.separator'?"),
        (PLAIN + '[lable]\ncolumn = "x"', "there is no key 'lable': did you mean 'label'?"),
        (PLAIN + '[label]\ncolum = "x"', "there is no key 'label.colum': did you mean 'label.column'?"),
        (PLAIN + "[label]\nat_least = 4", "it needs the column: set label.column"),
        (PLAIN + '[label]\ncolumn = "x"\nat_least = 4\npositive = ["a"]', "take out one"),
        (PLAIN + '[label]\ncolumn = "x"\nnegative = ["a"]', "negative needs positive"),
        (PLAIN + '[label]\ncolumn = "x"\npositive = ["1"]\nnegative = [1]', "'1' is positive and negative"),
        (PLAIN + 'label = "y"\n[label]\ncolumn = "x"', "the label is in columns.label and label.column: take out one"),
        (PLAIN + '[types]\nage = "int64"', "types.age is for no feature that has one: there are candidate_item_id, user_id"),
        (PLAIN + '[types]\nuser_id = "float"', "types.user_id is float, but ids are bytes or int64"),
        (PLAIN + '[types]\nuser_id = "int"', "types.user_id: Input should be 'bytes', 'int64' or 'float'"),
        (PLAIN + '[timestamp]\nunit = "h"', "timestamp.unit: Input should be 's', 'ms', 'us' or 'iso'"),
        (PLAIN + '[files]\nencoding = "utf-9"', "files.encoding: it is no encoding that Python knows"),
        (PLAIN + '[files]\ntrain = ["a"]', "a split that is given needs train and eval"),
        (PLAIN + '[items]\nfile = "a"', "it needs file, id and columns"),
        (PLAIN + '[items]\nfile = "a"\nid = "b"\ncolumns = { brand = "c" }', "'brand' is no further field of an item"),
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
    """By hand: nonclk is 1 - clk; ad 3 has no brand."""
    (tmp_path / "raw_sample.csv").write_text(
        "user,time_stamp,adgroup_id,pid,nonclk,clk\n581738,1494137644,1,430548_1007,1,0\n449818,1494638778,3,430548_1007,0,1\n"
    )
    (tmp_path / "ad_feature.csv").write_text(
        "adgroup_id,cate_id,campaign_id,customer,brand,price\n1,9025,108570,1,95471,170.0\n3,6261,387991,6,NULL,199.0\n"
    )
    source = ClickLog(tmp_path / "raw_sample.csv", ROOT / "docs" / "datasets" / "taobao_ads.toml")
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
    source = ClickLog(tmp_path, ROOT / "docs" / "datasets" / "taobao_ad_x1.toml")
    train, test = rows(source)
    assert (train["label"], test["label"], train["split"], test["split"]) == (1, 0, 0, 2)
    assert (train["user_id"], train["candidate_item_id"], train["candidate_category_id"]) == (b"25", b"87", b"4520")
    assert (train["historical_category_ids"], train["historical_brand_ids"]) == ([b"4520", b"6426"], [b"7", b"9"])
    assert train["historical_btag_ids"] == [b"1", b"3"] and test["historical_category_ids"] == []
    assert (train["price"], train["candidate_brand_id"], train["shopping_level"], train["pid"]) == (28.5, b"7", b"3", b"1")
    assert source.has_negatives and source.history == "before"
