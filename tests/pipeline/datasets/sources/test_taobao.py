"""UserBehavior.csv written by hand: what counts as a click, the clock's limits, files and faults."""

import gzip
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.taobao import Taobao

LINES = [
    "1,2268318,2520377,pv,1511544070",
    "1,2333346,2520771,pv,1511561733",
    "1,230380,411153,buy,1511644942",
    "100,2268318,2520377,cart,1511713473",
    "100,3911125,982926,fav,1511713474",
    "100,3911125,982926,pv,1511713475",
    "100,3911125,982926,pv,1511713475",  # exact repetitions are left to the import
    "100,3911125,982926,fav,1511713476",
]
CLICKS = [
    (1, 2268318, 2520377, 1, 1511544070),
    (1, 2333346, 2520771, 1, 1511561733),
    (100, 3911125, 982926, 1, 1511713475),
    (100, 3911125, 982926, 1, 1511713475),
]
OUTSIDE = "outside 25 November to 3 December 2017"
CHINA = timezone(timedelta(hours=8))


def write(path: Path, lines: list[str] = LINES) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def read(source: Path, tally: Tally | None = None) -> list[tuple[int, ...]]:
    taobao = Taobao(source)
    (file,) = taobao.files()
    batches = list(taobao.read(file, tally or Tally()))
    assert all(batch.schema == taobao.schema for batch in batches)
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def refused(source: Path) -> str:
    with pytest.raises(InputError) as error:
        read(source)
    return str(error.value)


def test_page_views_are_clicks_and_the_rest_is_counted(tmp_path: Path) -> None:
    tally = Tally()
    assert read(write(tmp_path / "UserBehavior.csv"), tally) == CLICKS
    assert tally.dropped == {"behaviour buy, not a click": 1, "behaviour cart, not a click": 1, "behaviour fav, not a click": 2}
    assert len(CLICKS) + tally.dropped.total() == len(LINES)


def test_schema_and_rules() -> None:
    source = Taobao(Path("UserBehavior.csv"))
    names = ("user_id", "candidate_item_id", "candidate_category_id", "label", "timestamp")
    assert source.schema == pa.schema([(name, pa.int64()) for name in names])
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("taobao", False, "earlier", "all")
    assert {"label", "time", "category"} <= set(source.rules)


def test_clocks_outside_the_nine_days(tmp_path: Path) -> None:
    """To the second, in Chinese time; the real file has times below 0 and in the future. A buy outside the days is counted once."""
    first = int(datetime(2017, 11, 25, tzinfo=CHINA).timestamp())
    last = int(datetime(2017, 12, 3, 23, 59, 59, tzinfo=CHINA).timestamp())
    times = [first - 1, first, last, last + 1, -2_134_949_234, 2_122_867_355, 10**14]
    tally = Tally()
    source = write(tmp_path / "UserBehavior.csv", [*(f"1,2,3,pv,{time}" for time in times), "1,2,3,buy,0"])
    assert [row[4] for row in read(source, tally)] == [first, last]
    assert tally.dropped == {OUTSIDE: 5, "behaviour buy, not a click": 1}


def test_gzipped(tmp_path: Path) -> None:
    (tmp_path / "UserBehavior.csv.gz").write_bytes(gzip.compress("".join(line + "\n" for line in LINES).encode()))
    assert read(tmp_path / "UserBehavior.csv.gz") == read(tmp_path) == CLICKS


def test_gzip_that_ends_too_early(tmp_path: Path) -> None:
    (tmp_path / "UserBehavior.csv.gz").write_bytes(gzip.compress("".join(line + "\n" for line in LINES).encode())[:-9])
    assert "UserBehavior.csv.gz cannot be read" in refused(tmp_path)


def test_source_may_be_the_folder_or_any_file(tmp_path: Path) -> None:
    write(tmp_path / "UserBehavior.csv")
    assert read(tmp_path) == read(write(tmp_path / "first_lines.csv")) == CLICKS


def test_folder_that_holds_none_or_two(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path} holds neither of UserBehavior.csv and UserBehavior.csv.gz: name the file."
    write(tmp_path / "UserBehavior.csv")
    (tmp_path / "UserBehavior.csv.gz").touch()
    assert refused(tmp_path) == f"{tmp_path} holds both of UserBehavior.csv and UserBehavior.csv.gz: name the file."


def test_missing_file(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.csv'} is missing: name UserBehavior.csv" in refused(tmp_path / "none.csv")


def test_file_as_downloaded(tmp_path: Path) -> None:
    (tmp_path / "UserBehavior.csv.zip").write_bytes(b"PK")
    assert "UserBehavior.csv.zip is packed: unzip it" in refused(tmp_path / "UserBehavior.csv.zip")


def test_empty_file(tmp_path: Path) -> None:
    assert "UserBehavior.csv is empty: download it again." in refused(write(tmp_path / "UserBehavior.csv", []))


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 3 lines, the middle one with 1 click."""
    monkeypatch.setattr("pipeline.datasets.tables.raw_rows.BATCH_SIZE", 3)
    source = write(tmp_path / "UserBehavior.csv")
    assert [batch.num_rows for batch in Taobao(source).read(source, Tally())] == [2, 1, 1]
    assert read(source) == CLICKS


def test_a_header_is_refused_or_counted(tmp_path: Path) -> None:
    header = "user_id,item_id,category_id,behavior_type,timestamp"
    source = write(tmp_path / "UserBehavior.csv", [header, *LINES])
    fault = "line 1: user is 'user_id', but must be a whole number from 0 up"
    assert f"{source}, {fault}: correct or remove the line" in refused(source)
    tally = Tally(skip_broken=True)
    assert read(source, tally) == CLICKS
    assert tally.dropped["broken lines"] == 1 and tally.broken == [f"UserBehavior.csv, {fault}"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("user_id,item_id,category_id,behavior,timestamp", "user is 'user_id', but must be a whole number from 0 up"),
        ("1,-2,3,pv,1511544070", "item is '-2'"),
        ("1,2,,pv,1511544070", "category is ''"),
        ("1,2,3,click,1511544070", "behaviour is 'click', but must be pv, buy, cart or fav"),
        ("1,2,3,PV,1511544070", "behaviour is 'PV'"),
        ("1,2,3,pv,2017-11-25", "timestamp is '2017-11-25', but must be a time in whole unix seconds"),
        ("1,2,3,pv,99999999999999999999", "timestamp is '99999999999999999999'"),
        ("1,2,3,pv", "it has 4 value(s), but must have 5"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, fault: str) -> None:
    source = write(tmp_path / "UserBehavior.csv", [LINES[0], line, *LINES[1:]])
    assert f"{source}, line 2: {fault}" in refused(source)
    tally = Tally(skip_broken=True)
    assert read(source, tally) == CLICKS
    assert tally.dropped["broken lines"] == 1 and len(CLICKS) + tally.dropped.total() == len(LINES) + 1
    assert tally.broken[0].startswith(f"UserBehavior.csv, line 2: {fault}")
