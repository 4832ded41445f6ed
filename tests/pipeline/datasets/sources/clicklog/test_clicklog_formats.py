"""One click log is read alike from every format, in batches of any size, and from one file, a folder or the files of a given split."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.tables import raw_rows
from tests.pipeline.datasets.sources.clicklog.click_logs import refusal, rows_of, source_of
from tests.pipeline.datasets.sources.clicklog.one_log import COLUMNS, LOG, PLAIN, ROWS, write


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "jsonl", "json", "jsonl.gz", "parquet"])
def test_every_format_gives_the_same(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(raw_rows, "BATCH_SIZE", 1)
    source = source_of(write(tmp_path / f"log.{suffix}", LOG), COLUMNS)
    assert rows_of(source) == ROWS
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
    whole = rows_of(source)
    assert [row["age_group"] for row in whole] == [None if row % 7 == 0 else f"age {row}".encode() for row in range(100)]
    assert [row["historical_item_ids"] for row in whole] == [
        [] if row % 5 == 0 else [f"h{row}".encode(), f"i{row}".encode()] for row in range(100)
    ]
    for size in (1, 7, 64):
        monkeypatch.setattr(raw_rows, "BATCH_SIZE", size)
        assert rows_of(source) == whole


def test_decimals_of_parquet_are_floats(tmp_path):
    clicks, prices = pa.array([Decimal(1), Decimal(0)], pa.decimal128(3, 0)), pa.array([Decimal("1.50"), None], pa.decimal128(5, 2))
    pq.write_table(pa.table({"uid": [1, 1], "ad": [1, 1], "clk": clicks, "price": prices}), tmp_path / "log.parquet")
    found = rows_of(source_of(tmp_path / "log.parquet", f'{PLAIN}label = "clk"\nprice = "price"\n[types]\nprice = "float"'))
    assert [(row["label"], row["price"]) for row in found] == [(1, 1.5), (0, None)]


def test_encodings_and_separators(tmp_path):
    log = tmp_path / "log.csv"
    log.write_bytes("\ufeffuid;ad\n1;é\n".encode())
    assert rows_of(source_of(log, f'{PLAIN}[files]\nseparator = ";"'))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes("uid,ad\n1,é\n".encode("latin-1"))
    assert rows_of(source_of(log, f'{PLAIN}[files]\nencoding = "latin-1"'))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes("uid,ad\n1,é\n".encode("utf-16"))
    assert rows_of(source_of(log, f'{PLAIN}[files]\nencoding = "utf-16"'))[0]["candidate_item_id"] == "é".encode()
    assert 'log.csv looks like UTF-16: convert it to UTF-8 (or, of a click log, set files.encoding = "utf-16"' in refusal(log, PLAIN)
    log.write_bytes("uid,ad\r1,é\r".encode())
    assert rows_of(source_of(log, PLAIN))[0]["candidate_item_id"] == "é".encode()
    log.write_bytes(b"uid,ad\n1,2\n")
    assert "cannot be read as utf-16" in refusal(log, f'{PLAIN}[files]\nencoding = "utf-16"')


def test_a_folder_is_read_file_by_file(tmp_path):
    for name in ("b.csv", "a.jsonl", "c/d.parquet"):
        (tmp_path / "log" / name).parent.mkdir(exist_ok=True, parents=True)
        write(tmp_path / "log" / name, LOG)
    for name in ("_SUCCESS", ".hidden.csv", "notes.txt"):
        (tmp_path / "log" / name).write_text("no table")
    source = source_of(tmp_path / "log", COLUMNS)
    assert [file.name for file in source.files()] == ["a.jsonl", "b.csv", "d.parquet"]
    assert rows_of(source) == ROWS * 3


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


def test_a_split_that_is_given(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for number, name in enumerate(("train-1.csv", "train-2.csv", "val.csv", "test.csv")):
        write(folder / name, [{"uid": number, "ad": 1}])
    split = '[files]\ntrain = ["train-*.csv"]\nvalidation = ["val.csv"]\neval = ["test.csv"]\n'
    assert [(row["user_id"], row["split"]) for row in rows_of(source_of(folder, PLAIN + split))] == [
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
