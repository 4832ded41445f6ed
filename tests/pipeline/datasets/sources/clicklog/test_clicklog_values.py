"""The values of click logs as people have them: nullable numbers, texts for no value, and forms of times."""

from datetime import date, datetime

import pytest

from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import PLAIN, parquet, read, refusal, text, values

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


def test_ids_of_any_text_but_line_ends(tmp_path):
    log = text(tmp_path / "log.csv", 'user,item\n"u\n1",i\n"u,1"," i"\n')
    tally = Tally(skip_broken=True)
    assert values(log, PLAIN, "user_id", tally) == [b"u,1"]
    assert tally.broken == ["log.csv, line 2: user is 'u\\n1', but must be text without line ends (CR, LF) and NUL"]


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
