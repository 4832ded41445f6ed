"""Every kind of fault in a click log or its mapping is named: in a value, a line, a column, a file or a key."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import refusal, rows_of, source_of
from tests.pipeline.datasets.sources.clicklog.one_log import COLUMNS, LOG, PLAIN, ROWS, write


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
    assert rows_of(source_of(log, COLUMNS), tally) == ROWS
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
    assert len(rows_of(source_of(log, PLAIN), tally)) == 1
    assert tally.dropped == {"broken lines": 1}


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
        assert len(rows_of(source_of(tmp_path / name, mapping), tally)) == 1
        assert tally.dropped == {"broken lines": 4} and len(tally.broken) == len(faults)
        for line, fault, named in zip((0, 1, 3, 4), faults, tally.broken, strict=True):
            assert named.startswith(f"{name}, line {begin + line}: {f'uid is {fault!r}' if fault else 'it '}")
        assert f"{name}, line {begin}: uid is 'x'" in refusal(tmp_path / name, mapping)


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


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path, suffix):
    log = write(tmp_path / f"log.{suffix}", [{"uid": 1, "item": 2}])
    assert "has no column 'ad' (it has: uid, item): name one of these" in refusal(log, PLAIN)


def test_a_key_that_no_json_line_has_is_refused(tmp_path):
    log = write(tmp_path / "log.jsonl", [{"uid": 1, "ad": 2}, {"uid": 1, "ad": 2, "age": 3}])
    assert [row["age"] for row in rows_of(source_of(log, f'{PLAIN}age = "age"'))] == [None, b"3"]
    assert "has no column 'agee' (it has: uid, ad, age)" in refusal(log, f'{PLAIN}age = "agee"')


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
