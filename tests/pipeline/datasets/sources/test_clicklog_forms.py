"""Logs as people have them: nullable numbers, forms of times, lists as text, impression lists, quotes, links, and names of any kind."""

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally

PLAIN = '[columns]\nuser_id = "user"\ncandidate_item_id = "item"\n'


def read(log: Path, mapping: str, tally: Tally | None = None) -> list[dict[str, Any]]:
    path = log.parent / "mapping.toml"
    path.write_text(mapping)
    source, tally = ClickLog(log, path), tally or Tally()
    batches = [batch for file in source.files() for batch in source.read(file, tally)]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def values(log: Path, mapping: str, name: str, tally: Tally | None = None) -> list[Any]:
    return [row[name] for row in read(log, mapping, tally)]


def refusal(log: Path, mapping: str) -> str:
    with pytest.raises(InputError) as error:
        read(log, mapping)
    return str(error.value)


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_quoted_value_over_two_lines_is_one_row(tmp_path):
    """Case 1 of the issue."""
    log = text(
        tmp_path / "log.csv",
        'user,item,review\nu1,i1,"nice,\nwell, made, really"\nu1,i2,ok\nu1,i3,ok\nu2,i1,ok\nu2,i2,ok\nu2,i3,ok\nu2,i4,ok\n',
    )
    found = read(log, PLAIN)
    assert [(row["user_id"], row["candidate_item_id"]) for row in found] == [
        *((b"u1", item) for item in (b"i1", b"i2", b"i3")),
        *((b"u2", item) for item in (b"i1", b"i2", b"i3", b"i4")),
    ]


HISTORIES = f'{PLAIN}[histories]\nhistorical_item_ids = {{ column = "hist", separator = "," }}\n'


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('"[3, 4]"', [b"3", b"4"]),
        ('"[]"', []),
        ("", []),
        ("[ ]", []),
        ('"3,4"', [b"3", b"4"]),
        ("\"['a', 'b, c']\"", [b"a", b"b, c"]),
        ('"[""a"", null, ""it\'s""]"', [b"a", b"it's"]),
        ("\"['a', nan, None]\"", [b"a"]),
        ('"[3.0, nan]"', [b"3"]),
        ('"3,,4,"', [b"3", b"4"]),
        ('"3, 4 "', [b"3", b"4"]),
        ('"[3., 4.]"', [b"3", b"4"]),
        ('"[np.int64(3), np.float64(nan), NULL, <NA>]"', [b"3"]),
        ("\"[np.str_('a b'), np.str_('c')]\"", [b"a b", b"c"]),
        ('"(3, 4)"', [b"3", b"4"]),
        ('"(3,)"', [b"3"]),
        ("\"('a', 'b')\"", [b"a", b"b"]),
        ('"{3,4}"', [b"3", b"4"]),
        ('"[a],[b]"', [b"[a]", b"[b]"]),
        ("(unknown)", [b"(unknown)"]),
    ],
)
def test_a_list_as_text_is_read_as_its_writer_meant_it(tmp_path, cell, expected):
    """Case 2, as pandas, JSON and plain separators write lists. Empty events are no events."""
    log = text(tmp_path / "log.csv", f"user,item,hist\n0,0,{cell}\n")
    tally = Tally()
    assert values(log, HISTORIES, "historical_item_ids", tally) == [expected]
    assert any("hist are written in brackets" in note for note in tally.notes) == (
        cell.strip('"')[:1] in [*"[({"] and "a],[" not in cell and "unknown" not in cell
    )


@pytest.mark.parametrize(
    ("cell", "separator"),
    [
        ("[1 2 ... 8 9]", " "),
        ("['a' 'b' ... 'z']", " "),
        ("[1, 2, ..., 9]", ","),
        ("['a', ..., 'z']", ","),
        ("[[1, 2], [3]]", ","),
        ("[(1, 5), (2, 4)]", ","),
        ("array([1, 2])", ","),
        ("[1, 2", ","),
    ],
)
def test_lists_of_which_a_part_is_missing_or_nested_are_refused(tmp_path, cell, separator):
    """NumPy writes `...` for elements of long lists; the other cells would become events such as `(1`."""
    log = text(tmp_path / "log.csv", f'user,item,hist\n0,0,"{cell}"\n')
    message = refusal(log, HISTORIES.replace('","', f'"{separator}"'))
    assert "hist is" in message and cell in message and "but must be a list separated by" in message


def test_events_without_a_value_are_counted(tmp_path):
    log = text(tmp_path / "log.csv", 'user,item,hist\n0,0,"3,,-1"\n0,0,"[nan, 0]"\n')
    tally = Tally()
    mapping = f'{HISTORIES}[types]\ncandidate_item_id = "int64"\n[missing]\nhistorical_item_ids = ["0"]\n'
    assert values(log, mapping, "historical_item_ids", tally) == [[3], []]
    assert tally.notes["events of hist have no value and are left out"] == 4
    assert "hist is \"{'a', 'b'}\", but must be a list separated by ','" in refusal(
        text(log, "user,item,hist\n0,0,\"{'a', 'b'}\"\n"), HISTORIES
    )
    assert "hist is \"('ab')\", but must be a list separated by ','" in refusal(text(log, "user,item,hist\n0,0,\"('ab')\"\n"), HISTORIES)
    assert "hist is 'x,1', but must be a list separated by ',' (a whole number from 0 up each)" in refusal(
        text(log, 'user,item,hist\n0,0,"x,1"\n'), mapping
    )


def test_lists_of_one_row_lose_the_same_events(tmp_path):
    """The second event has no item; the third has no category; in the last row the lists do not go together."""
    log = tmp_path / "log.parquet"
    parquet(
        log,
        user=[1, 1],
        item=[1, 1],
        hist=[["a", None, "c"], ["a", ""]],
        cates=[["x", "y", None], ["x", "", "z"]],
        times=[[1, 2, 3], [4, 5]],
    )
    mapping = (
        f'{PLAIN}[histories]\nhistorical_item_ids = {{ column = "hist" }}\nhistorical_category_ids = {{ column = "cates" }}\n'
        'historical_timestamps = { column = "times" }\n'
    )
    first, second = read(log, mapping)
    assert (first["historical_item_ids"], first["historical_category_ids"]) == ([b"a", b"c"], [b"x", b"(unknown)"])
    assert (second["historical_item_ids"], second["historical_category_ids"]) == ([b"a"], [b"x", b"z"])
    assert (first["historical_timestamps"], second["historical_timestamps"]) == ([1, 3], [4])
    numbers = f'{mapping}[types]\ncandidate_category_id = "int64"\nhistorical_category_ids = "int64"\n'
    parquet(log, user=[1], item=[1], hist=[["a", "b"]], cates=[[1, None]], times=[[1, 2]])
    assert "cates is [1, None], but must be a list (a whole number from 0 up each)" in refusal(
        log, numbers.replace('candidate_category_id = "int64"\n', "")
    )


def test_numpy_writes_lists_with_blanks(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,hist\n0,0,[ 3  4\n0,0,\"['a b' 'c']\"\n".replace("4\n", "4]\n"))
    assert values(log, HISTORIES.replace('","', '" "'), "historical_item_ids") == [[b"3", b"4"], [b"a b", b"c"]]
    assert "hist is \"['a b' 'c']\", but must be a list" in refusal(log, HISTORIES)  # Python would make one text of the two


NULLABLE = f'{PLAIN}age = "age"\n[types]\nage = "int64"\n'


def test_whole_numbers_may_be_written_as_floats(tmp_path):
    """Case 4: a column with missing values, as pandas writes it to CSV and to Parquet."""
    logs = (
        text(tmp_path / "log.csv", "user,item,age\n3.0,i1,25.0\n4.0,i2,\n5.0,i3,50.0\n"),
        parquet(tmp_path / "log.parquet", user=[3.0, 4.0, 5.0], item=["i1", "i2", "i3"], age=[25.0, None, 50.0]),
        text(
            tmp_path / "log.jsonl",
            "".join(f'{{"user": {u}.0, "item": "i", "age": {a}}}\n' for u, a in ((3, "25.0"), (4, "NaN"), (5, "50.0"))),
        ),
    )
    for log in logs:
        tally = Tally()
        assert [(row["user_id"], row["age"]) for row in read(log, NULLABLE, tally)] == [(b"3", 25), (b"4", None), (b"5", 50)]
        assert tally.notes == {
            "whole numbers of user are written with a fraction: 25.0 is taken for 25": 3,
            "whole numbers of age are written with a fraction: 25.0 is taken for 25": 2,
        }
        ids = f'{NULLABLE}user_id = "int64"\n'
        assert values(log, ids, "user_id") == [3, 4, 5]
    assert "line 2: age is '25.5', but must be a whole number" in refusal(text(logs[0], "user,item,age\n3,i1,25.5\n"), NULLABLE)
    assert "row 1: age is 25.5, but must be a whole number" in refusal(parquet(logs[1], user=[3.0], item=["i"], age=[25.5]), NULLABLE)
    assert "row 1: user is 3.5, but must be text or a whole number" in refusal(parquet(logs[1], user=[3.5], item=["i"], age=[25.5]), PLAIN)
    assert "row 1: user is 9007199254740992.0, but must be" in refusal(parquet(logs[1], user=[2.0**53], item=["i"], age=[1.0]), PLAIN)


def test_texts_of_features_stay_as_they_are(tmp_path):
    """Only ids lose a fraction of 0: a version 10.0 is no 10."""
    log = text(tmp_path / "log.csv", "user,item,version\nu.0,i,10.0\n")
    assert read(log, f'{PLAIN}version = "version"') == [{"label": 1, "user_id": b"u.0", "candidate_item_id": b"i", "version": b"10.0"}]


def test_a_clock_of_days(tmp_path):
    """Case 5: six users, four rows each on their own day."""
    rows = "".join(f"{user},{3 * user + item},2016-05-0{user}\n" for user in range(1, 7) for item in range(4))
    log = text(tmp_path / "log.csv", f"user,item,day\n{rows}")
    mapping = f'{PLAIN}timestamp = "day"\n[timestamp]\nunit = "iso"\n'
    (tmp_path / "mapping.toml").write_text(mapping)
    assert ClickLog(log, tmp_path / "mapping.toml").history == "earlier"
    (tmp_path / "mapping.toml").write_text(f'history = "before"\n{mapping}')
    source = ClickLog(log, tmp_path / "mapping.toml")
    assert source.history == "before"
    manifest = import_source(source, tmp_path / "out", ImportSettings())
    assert sum(manifest["examples"].values()) == 2 * 6 * 3  # the first click of a user has no history; a click has one drawn negative


@pytest.mark.parametrize(
    ("unit", "value", "reading"),
    [
        ("s", "20200705", 'format = "%Y%m%d"'),
        ("s", "14102100", 'format = "%y%m%d%H"'),
        ("s", "2014102100", 'format = "%Y%m%d%H"'),
        ("s", "202007051230", 'format = "%Y%m%d%H%M"'),
        ("s", "20200705123059", 'format = "%Y%m%d%H%M%S"'),
        ("s", "1600000000000", 'unit = "ms"'),
        ("s", "1600000000000000000", 'unit = "ns"'),
        ("ms", "1600000000", 'unit = "s"'),
        ("ms", "1600000000000000", 'unit = "us"'),
        ("iso", "1600000000", 'unit = "s"'),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_times_in_another_unit_are_refused_with_the_likely_one(tmp_path, unit, value, reading, kind):
    """Case 6."""
    log = tmp_path / f"log.{kind}"
    if kind == "csv":
        text(log, f"user,item,ts\nu,i,{value}\nu,i,{value}\n")
    else:
        parquet(log, user=["u"] * 2, item=["i"] * 2, ts=[int(value)] * 2)
    mapping = f'{PLAIN}timestamp = "ts"\n[timestamp]\n'
    message = refusal(log, f'{mapping}unit = "{unit}"')
    where = "line 2: ts is '" if kind == "csv" else "row 1: ts is "
    assert f"log.{kind}, {where}{value}" in message
    assert f"the other times are as unlikely; set {reading} under [timestamp] in {tmp_path / 'mapping.toml'}" in message
    assert all(1_400_000_000 < time < 1_700_000_000 for time in values(log, mapping + reading, "timestamp"))


def test_single_times_in_another_unit_are_a_warning(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,ts\nu,i,1600000000\nu,j,1600000\nu,k,4000000000\n")
    tally = Tally()
    assert len(read(log, f'{PLAIN}timestamp = "ts"', tally)) == 3
    assert tally.warnings == {"times of ts are before 1990 or more than a year ahead, and others are not": 2}


def test_a_clock_that_begins_at_0_is_taken_as_it_is(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,ts\nu,i,0\nu,j,31000000\nu,k,20200705\n")
    assert values(log, f'{PLAIN}timestamp = "ts"', "timestamp") == [0, 31_000_000, 20_200_705]


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ('format = "%m/%d/%Y %I:%M:%S %p"', "07/05/2020 01:02:03 PM", datetime(2020, 7, 5, 13, 2, 3)),
        ('format = "%y%m%d%H"', "14102123", datetime(2014, 10, 21, 23)),
        ('format = "%Y%m%d"', "20200705", datetime(2020, 7, 5)),
        ('format = "%Y%m%d"', "20200705.0", datetime(2020, 7, 5)),
        ('format = "%d%m%Y"', "1112020", datetime(2020, 11, 1)),  # a number has lost its first zero
        ('format = "%d.%m.%Y %H:%M:%S.%f %z"', "05.07.2020 13:02:03.9 +0200", datetime(2020, 7, 5, 11, 2, 3)),
        ('unit = "ns"', "1593954123999999999", datetime(2020, 7, 5, 13, 2, 3)),
        ('unit = "s"', "1593954123.0", datetime(2020, 7, 5, 13, 2, 3)),
        ('unit = "iso"', "2020-07-05 13:02:03 UTC", datetime(2020, 7, 5, 13, 2, 3)),
        ('unit = "iso"', "20200705", datetime(2020, 7, 5)),
    ],
)
def test_forms_of_times(tmp_path, form, value, expected):
    log = text(tmp_path / "log.csv", f"user,item,ts\nu,i,{value}\n")
    assert values(log, f'{PLAIN}timestamp = "ts"\n[timestamp]\n{form}', "timestamp") == [(expected - datetime(1970, 1, 1)).total_seconds()]


@pytest.mark.parametrize("value", ["now", "today", "2020", "2020-13-01", "x", "1900-01-01", "2200-01-01", "2020-07-05 25:00"])
def test_what_is_no_time_is_named(tmp_path, value):
    log = text(tmp_path / "log.csv", f"user,item,ts\nu,i,2020-07-05\nu,i,{value}\n")
    mapping = f'{PLAIN}timestamp = "ts"\n[timestamp]\nunit = "iso"'
    assert f"line 3: ts is '{value}', but must be a time until 2100 in ISO 8601" in refusal(log, mapping)
    text(log, "user,item,ts\nu,i,05/07/20\n")
    assert "line 2: ts is '05/07/20', but must be a time until 2100 written as %d/%m/%Y" in refusal(
        log, mapping.replace('unit = "iso"', 'format = "%d/%m/%Y"')
    )


def test_numbers_of_parquet_may_be_dates(tmp_path):
    log = parquet(tmp_path / "log.parquet", user=["u"] * 2, item=["i"] * 2, a=[20200705, 20200706], b=[20200705.0, 20200706.0])
    for column in ("a", "b"):
        mapping = f'{PLAIN}timestamp = "{column}"\n[timestamp]\nformat = "%Y%m%d"'
        assert values(log, mapping, "timestamp") == [1_593_907_200, 1_593_993_600]


def test_day_and_time_in_two_columns(tmp_path):
    mapping = f'{PLAIN}timestamp = "day"\n[timestamp]\ntime = "hour"\n'
    log = text(tmp_path / "log.csv", "user,item,day,hour\nu,i,2020-07-05,13:02:03\nu,i,2020-07-05,00:00\n")
    assert values(log, f'{mapping}unit = "iso"', "timestamp") == [1_593_954_123, 1_593_907_200]
    log = text(tmp_path / "log.csv", "user,item,day,hour\nu,i,05/07/20,1 PM\nu,i,05/07/20,\n")
    tally = Tally(skip_broken=True)
    assert values(log, f'{mapping}format = "%d/%m/%y %I %p"', "timestamp", tally) == [1_593_954_000]
    assert tally.broken == ["log.csv, line 3: day hour is missing, but must be a time until 2100 written as %d/%m/%y %I %p"]
    log = text(tmp_path / "log.csv", "user,item,day,hour\nu,i,20200705,1302\nu,i,20200705,100\nu,i,20200705,45\nu,i,20200705,0.0\n")
    day = 1_593_907_200  # 13:02, 1:00, 0:45 and midnight, as KuaiRand writes them; strptime alone reads 10:00 and 4:05
    assert values(log, f'{mapping}format = "%Y%m%d %H%M"', "timestamp") == [day + 46_920, day + 3600, day + 2700, day]
    log = parquet(tmp_path / "log.parquet", user=["u"], item=["i"], day=[date(2020, 7, 5)], hour=["13:02:03"])
    assert values(log, f'{mapping}unit = "iso"', "timestamp") == [1_593_954_123]


MIND = """
[columns]
user_id = "user"
timestamp = "time"
[timestamp]
format = "%m/%d/%Y %I:%M:%S %p"
[files]
format = "csv"
separator = "\\t"
quote = ""
header = false
names = ["impression", "user", "time", "history", "impressions"]
[histories]
historical_item_ids = { column = "history", separator = " " }
[impressions]
column = "impressions"
"""


def test_a_cell_holds_a_whole_impression_list(tmp_path):
    """Case 7, in the form of MIND's behaviors.tsv: no header, items with labels in one cell."""
    log = text(
        tmp_path / "behaviors.log",
        "1\tU1\t11/15/2019 8:55:22 AM\tN10 N11\tN1-0 N2-1\n2\tU2\t11/15/2019 8:55:23 AM\t\tN-3-1 \n3\tU2\t11/15/2019 8:55:24 AM\t\t\n",
    )
    tally = Tally()
    rows = read(log, MIND, tally)
    assert [(row["user_id"], row["candidate_item_id"], row["label"], row["historical_item_ids"]) for row in rows] == [
        (b"U1", b"N1", 0, [b"N10", b"N11"]),
        (b"U1", b"N2", 1, [b"N10", b"N11"]),
        (b"U2", b"N-3", 1, []),
    ]
    assert rows[0]["request_id"] == rows[1]["request_id"] != rows[2]["request_id"]
    assert rows[0]["timestamp"] == 1_573_808_122
    assert tally.dropped == {"impressions has no item": 1}
    own = MIND.replace('user_id = "user"', 'user_id = "user"\nrequest_id = "impression"')
    assert values(log, own, "request_id") == [b"1", b"1", b"2"]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("N1-0 N2", "impressions is 'N1-0 N2', but must be items with labels, as in N1-0 N2-1"),
        ("N1-0 N2-x", "a label of impressions is 'x', but must be 0 or 1"),
        ("N1-0 -1", "an item of impressions is missing, but must be text or a whole number"),
    ],
)
def test_broken_impression_lists_are_named(tmp_path, cell, fault):
    log = text(tmp_path / "behaviors.log", f"1\tU1\t11/15/2019 8:55:22 AM\t\tN1-1\n1\tU1\t11/15/2019 8:55:22 AM\t\t{cell}\n")
    assert f"behaviors.log, line 2: {fault}" in refusal(log, MIND)
    tally = Tally(skip_broken=True)
    assert values(log, MIND, "candidate_item_id", tally)[0] == b"N1" and tally.dropped == {"broken lines": 1}


def test_impression_lists_of_json(tmp_path):
    log = text(tmp_path / "log.jsonl", '{"user": 1, "shown": ["a-1", "b-0"]}\n{"user": 2, "shown": []}\n')
    mapping = '[columns]\nuser_id = "user"\n[impressions]\ncolumn = "shown"\n'
    assert [(row["candidate_item_id"], row["label"]) for row in read(log, mapping)] == [(b"a", 1), (b"b", 0)]
    log = parquet(tmp_path / "log.parquet", user=[1], shown=[[{"item": "a", "label": 1}]])
    assert "row 1: shown is [{'item': 'a', 'label': 1}], but must be items with labels" in refusal(log, mapping)


def test_without_a_header_columns_are_numbers(tmp_path):
    log = text(tmp_path / "log.dat", "u1::i1::5\nu2::i2::3\n")
    mapping = (
        '[columns]\nuser_id = "1"\ncandidate_item_id = "2"\n[label]\ncolumn = "3"\nat_least = 4\n'
        '[files]\nformat = "csv"\nseparator = "::"\nheader = false\n'
    )
    assert [tuple(row.values()) for row in read(log, mapping)] == [(1, b"u1", b"i1"), (0, b"u2", b"i2")]


def test_missing_has_one_meaning_by_column(tmp_path):
    """Case 8: further texts for "no value", as texts and as numbers."""
    log = text(tmp_path / "log.csv", "user,item,age,place,price,cate\nu,i,-1,NA,-1.0,0\nu,i,-1.0,x,2.5,7\n")
    mapping = (
        f'{PLAIN}age = "age"\nplace = "place"\nprice = "price"\ncandidate_category_id = "cate"\n'
        '[types]\nage = "int64"\nprice = "float"\n'
        '[missing]\nage = ["-1"]\nplace = ["NA", "NULL"]\nprice = [-1]\ncandidate_category_id = ["0"]\n'
    )
    rows = read(log, mapping)
    assert [(row["age"], row["place"], row["price"], row["candidate_category_id"]) for row in rows] == [
        (None, None, None, b"(unknown)"),
        (None, b"x", 2.5, b"7"),
    ]
    assert "line 2: user is 'u' (no value), but must be text" in refusal(log, f'{PLAIN}[missing]\nuser_id = ["u"]')


def test_quotes_and_escapes_are_said_by_the_mapping(tmp_path):
    """Case 9."""
    log = text(tmp_path / "log.tsv", 'user\titem\ttitle\nu\ti\t"A\nu\tj\tB\nu\tk\t"C" D\n')
    assert len(read(log, f'{PLAIN}title = "title"\n[files]\nquote = ""')) == 3
    assert 'line 2: the quoted value that begins with "A is not followed by the separator' in refusal(log, PLAIN)
    log = text(tmp_path / "log.csv", "user,item\n'u, 1','say \\'hi\\''\n")
    assert read(log, f'{PLAIN}[files]\nquote = "\'"\nescape = "\\\\"')[0] == {
        "label": 1,
        "user_id": b"u, 1",
        "candidate_item_id": b"say 'hi'",
    }


SIDE = '[items]\nfile = "items.csv"\nid = "item"\ncolumns = { candidate_category_id = "cate" }\n'


def test_broken_lines_of_a_side_table_are_skipped_and_counted(tmp_path):
    """Case 9: --skip-broken holds there too."""
    log = text(tmp_path / "log.csv", "user,item\nu,1\nu,2\nu,3\n")
    text(tmp_path / "items.csv", "item,cate\n1,x\n2\n3,z\n3,later\n")
    assert "items.csv, line 3: it has 1 value(s) where the header has 2" in refusal(log, PLAIN + SIDE)
    tally = Tally(skip_broken=True)
    assert values(log, PLAIN + SIDE, "candidate_category_id", tally) == [b"x", b"(unknown)", b"z"]
    assert tally.broken == ["items.csv, line 3: it has 1 value(s) where the header has 2"] and not tally.dropped
    assert tally.notes == {"broken lines of items.csv, whose items count as unknown": 1}


def test_a_side_table_with_whole_numbers_as_floats(tmp_path):
    log = text(tmp_path / "log.csv", "user,item\nu,1\nu,2\nu,3\n")
    text(tmp_path / "items.csv", "item,cate\n1.0,5.0\n2.0,\n")
    assert values(log, PLAIN + SIDE, "candidate_category_id") == [b"5", b"(unknown)", b"(unknown)"]
    numbers = f'{PLAIN}{SIDE}[types]\ncandidate_category_id = "int64"\n'
    tally = Tally(skip_broken=True)
    assert values(log, numbers, "candidate_category_id", tally) == [5]
    assert tally.broken[0] == "log.csv, line 3: cate of items.csv is missing, but must be a whole number from 0 up"


@pytest.mark.parametrize(("encoding", "place"), [("latin-1", "Malmö"), ("gbk", "北京")])
def test_bytes_that_are_no_text_name_the_key_to_set(tmp_path, encoding, place):
    """Case 10."""
    log = text(tmp_path / "log.csv", f"user,item,city\nu,i,x\nu,i,{place}\n", encoding)
    message = refusal(log, f'{PLAIN}city = "city"')
    assert f"log.csv, line 3: city is {place.encode(encoding)!r}, which is not text in UTF-8" in message
    assert "set files.encoding in the mapping" in message
    assert values(log, f'{PLAIN}city = "city"\n[files]\nencoding = "{encoding}"', "city") == [b"x", place.encode()]


def test_patterns_stay_below_source(tmp_path):
    """Case 11."""
    (tmp_path / "log" / "sub").mkdir(parents=True)
    for name in ("log/sub/a.csv", "log/b.csv", "outside.csv"):
        text(tmp_path / name, "user,item\nu,i\n")
    for pattern in (f"{tmp_path}/*.csv", "../outside.csv", "sub/../../outside.csv", ""):
        message = refusal(tmp_path / "log", f'{PLAIN}[files]\ntrain = ["{pattern}"]\neval = ["b.csv"]')
        assert f"files.train: {pattern!r} is not below SOURCE: give a pattern relative to it" in message
    mapping = f'{PLAIN}[files]\ntrain = ["sub/../sub/*.csv"]\neval = ["b.csv"]'
    assert values(tmp_path / "log", mapping, "split") == [0, 2]


def test_links_are_followed_and_named(tmp_path):
    """Case 11: neither files nor folders behind symbolic links are passed over, or read twice, without a word."""
    elsewhere, log = tmp_path / "elsewhere", tmp_path / "log"
    elsewhere.mkdir()
    log.mkdir()
    text(log / "a.csv", "user,item\nu,a\n")
    text(elsewhere / "b.csv", "user,item\nu,b\n")
    (log / "days").symlink_to(elsewhere)
    (log / "Z.csv").symlink_to(log / "a.csv")
    (log / "loop").symlink_to(log)
    tally = Tally()
    assert values(log, PLAIN, "candidate_item_id", tally) == [b"a", b"b"]
    assert tally.notes == {
        f"files are read through the symbolic link {log / 'days'} -> {elsewhere}": 1,
        f"files are passed over, since they are others under a second name, such as {log / 'Z.csv'}, which is {log / 'a.csv'}": 1,
    }
    split = f'{PLAIN}[files]\ntrain = ["**/b.csv"]\neval = ["{{}}"]\n'
    assert values(log, split.format("a.csv"), "split") == [0, 2]
    assert "is in train and in eval" in refusal(log, split.replace("b.csv", "a.csv").format("Z.csv"))
    (log / "gone.csv").symlink_to(tmp_path / "nowhere")
    assert "gone.csv is missing" in refusal(log, PLAIN)


def test_names_of_any_kind(tmp_path):
    """Case 11: the mapping says the format; names that say none are passed over with a word."""
    log = tmp_path / "log"
    log.mkdir()
    for name in ("a.inter", "b.txt", "c.dat"):
        text(log / name, "user\titem\nu\ti\n")
    tab = f'{PLAIN}[files]\nformat = "csv"\nseparator = "\\t"\n'
    assert len(read(log, tab)) == 3 and len(read(log / "b.txt", tab)) == 1
    assert "its name must end in .csv" in refusal(log / "b.txt", PLAIN) and "files.format" in refusal(log / "b.txt", PLAIN)
    assert "holds no table" in refusal(log, PLAIN) and "or set files.format in" in refusal(log, PLAIN)
    text(log / "d.csv", "user,item\nu,i\n")
    tally = Tally()
    assert len(read(log, PLAIN, tally)) == 1
    for suffix in (".inter", ".txt", ".dat"):
        assert tally.notes[f"files in {log} are passed over, since their names end in {suffix!r}: files.format takes any name"] == 1


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_pipes_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert f"{name} is a pipe or a device, not a file" in refusal(tmp_path / name, PLAIN)


def test_ids_of_any_text_but_line_ends(tmp_path):
    log = text(tmp_path / "log.csv", 'user,item\n"u\n1",i\n"u,1"," i"\n')
    tally = Tally(skip_broken=True)
    assert values(log, PLAIN, "user_id", tally) == [b"u,1"]
    assert tally.broken == ["log.csv, line 2: user is 'u\\n1', but must be text without line ends (CR, LF) and NUL"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[timestamp]\nunit = "s"\nformat = "%Y"', "unit and format both say how times are written: remove one"),
        ('[timestamp]\nformat = "%Q"', "it is not a form of times"),
        ('[timestamp]\ntime = "t"', 'a column of the time of day needs format, or unit = "iso"'),
        ('[timestamp]\ntime = "t"\nunit = "iso"', "timestamp.time needs columns.timestamp"),
        ('[files]\nquote = "ab"', "files.quote: it must be one character of ASCII, or empty for none"),
        ('[files]\nescape = "é"', "files.escape: it must be one character of ASCII"),
        ('[files]\nquote = ","\nseparator = ","', "separator, quote and escape must differ"),
        ('[files]\nquote = "\'"\nseparator = "::"', "quote and escape need a separator of one character of ASCII, not '::'"),
        ('[files]\nnames = ["a"]', "names are for files without a header: set header = false beside them"),
        ('[files]\nheader = false\nnames = ["a", "a"]', "names has 'a' several times"),
        ('[files]\nformat = "xml"', "files.format: Input should be 'csv', 'json' or 'parquet'"),
        ('[missing]\nplace = ["x"]', "missing.place names no feature; features are candidate_item_id, user_id"),
        ('[impressions]\ncolumn = "x"', "impressions gives the item and its label: remove them from columns and label"),
        ('[impressions]\nseparator = "x"', "it needs the column: set impressions.column"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path, more, message):
    assert message in refusal(text(tmp_path / "log.csv", "user,item,x\nu,i,\n"), PLAIN + more)


def test_a_history_that_cannot_be_built_is_refused(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,hist\nu,i,\n")
    assert 'history = "earlier" needs columns.timestamp' in refusal(log, f'history = "earlier"\n{PLAIN}')
    assert "history has no effect where [histories] gives them: remove one" in refusal(log, f'history = "before"\n{HISTORIES}')


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
