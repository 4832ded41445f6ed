"""Hand-made reviews and metadata, strict and loose, and every kind of fault in them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.amazon import Amazon
from pipeline.datasets.sources.by_name import open_source
from pipeline.datasets.sources.interactions import Tally

DAY = 86_400
REVIEWS = [
    {"reviewerID": "A1", "asin": "B01", "overall": 1.0, "unixReviewTime": 20 * DAY, "reviewText": "né"},
    {"reviewerID": "A1", "asin": "B02", "overall": 5.0, "unixReviewTime": 10 * DAY},
    {"reviewerID": "A2", "asin": "B09", "overall": 3.0, "unixReviewTime": 0},
]
META = [  # the first strict, the others loose
    '{"asin": "B01", "categories": [["Electronics", "GPS"], ["Electronics", "Café"]]}',
    "{'asin': 'B02', 'title': \"Men's\", 'categories': [['Electronics', 'Cables']], 'price': None}",
    "{'asin': 'B02', 'categories': [['Electronics', 'later']]}",
    "{'asin': 'B03'}",
]
ROWS = [
    {"user_id": b"A1", "candidate_item_id": b"B01", "label": 1, "timestamp": 20 * DAY, "candidate_category_id": "Café".encode()},
    {"user_id": b"A1", "candidate_item_id": b"B02", "label": 1, "timestamp": 10 * DAY, "candidate_category_id": b"Cables"},
    {"user_id": b"A2", "candidate_item_id": b"B09", "label": 1, "timestamp": 0, "candidate_category_id": b"(unknown)"},
]


def write(path: Path, lines: list[str | bytes]) -> Path:
    data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def folder(path: Path, reviews: list[Any] = REVIEWS, meta: list[Any] | None = META, suffix: str = "") -> Path:
    path.mkdir(exist_ok=True)
    lines = [line if isinstance(line, str | bytes) else json.dumps(line) for line in reviews]
    write(path / f"reviews_Home_and_Garden_5.json{suffix}", lines)
    if meta is not None:
        write(path / f"meta_Home_and_Garden.json{suffix}", meta)
    return path


def rows(source: Amazon, tally: Tally | None = None) -> list[dict[str, Any]]:
    batches = [batch for file in source.files() for batch in source.read(file, tally or Tally())]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_or_the_reviews_give_every_review_as_a_click(tmp_path, suffix):
    source = folder(tmp_path / "data", suffix=suffix)
    assert rows(Amazon(source)) == ROWS
    assert rows(Amazon(source / f"reviews_Home_and_Garden_5.json{suffix}")) == ROWS
    amazon = Amazon(source)
    assert (amazon.name, amazon.has_negatives, amazon.history, amazon.repeats) == ("amazon", False, "before", "all")
    assert "whatever its stars" in amazon.rules["label"] and "last category path" in amazon.rules["category"]


def test_without_metadata_there_is_no_category(tmp_path):
    source = folder(tmp_path / "data", meta=None)
    without = [{name: value for name, value in row.items() if name != "candidate_category_id"} for row in ROWS]
    assert rows(Amazon(source)) == without
    named = write(tmp_path / "elsewhere.json", META)
    assert rows(Amazon(source, named)) == ROWS


@pytest.mark.parametrize(
    "categories, expected",
    [
        ('[["a"], ["b", "c"]]', b"c"),
        ("[]", b"(unknown)"),
        ("[[]]", b"(unknown)"),
        ('[["a", ""]]', b"(unknown)"),
        ("null", b"(unknown)"),
    ],
)
def test_the_category_is_the_last_of_the_last_path(tmp_path, categories, expected):
    source = folder(tmp_path / "data", REVIEWS[:1], [f'{{"asin": "B01", "categories": {categories}}}'])
    assert rows(Amazon(source))[0]["candidate_category_id"] == expected


@pytest.mark.parametrize(
    "line, fault",
    [
        ("{", "it is not a JSON object"),
        ("[1]", "it is not a JSON object"),
        ("[" * 100_000, ""),
        ('{"asin": "B1", "unixReviewTime": 1}', "it has no reviewerID"),
        ('{"reviewerID": 7, "asin": "B1", "unixReviewTime": 1}', "reviewerID is 7, but must be text in UTF-8"),
        ('{"reviewerID": "A", "asin": "", "unixReviewTime": 1}', "asin is '', but must be text in UTF-8"),
        (b'{"reviewerID": "A", "asin": "\xff", "unixReviewTime": 1}', "asin is '\\udcff', but must be text in UTF-8"),
        ('{"reviewerID": "A", "asin": "B", "unixReviewTime": "1"}', "unixReviewTime is '1', but must be a time in whole unix seconds"),
        ('{"reviewerID": "A", "asin": "B", "unixReviewTime": true}', "unixReviewTime is True, but must be a time in whole unix seconds"),
        ('{"reviewerID": "A", "asin": "B", "unixReviewTime": 1400000000000}', "unixReviewTime is 1400000000000, but must be a time"),
    ],
)
def test_broken_reviews_are_named_or_counted(tmp_path, line, fault):
    source = Amazon(folder(tmp_path / "data", [REVIEWS[0], line, *REVIEWS[1:]]))
    with pytest.raises(InputError) as error:
        rows(source)
    assert f"reviews_Home_and_Garden_5.json, line 2: {fault}" in str(error.value)
    tally = Tally(skip_broken=True)
    assert rows(source, tally) == ROWS
    assert tally.dropped == {"broken lines": 1}


@pytest.mark.parametrize(
    "line, fault",
    [
        ("{'asin': B01}", "it is neither a JSON object nor a Python literal"),
        ("__import__('os').getcwd()", "it is neither a JSON object nor a Python literal"),
        ("{'categories': []}", "it has no asin"),
        ("{'asin': 'B1', 'categories': ['GPS']}", "categories is ['GPS'], but must be lists of texts"),
        ("{'asin': 'B1', 'categories': [[1]]}", "categories is [[1]], but must be lists of texts"),
    ],
)
def test_broken_metadata_is_named_or_counted(tmp_path, line, fault):
    source = Amazon(folder(tmp_path / "data", meta=[line, *META]))
    with pytest.raises(InputError) as error:
        rows(source)
    assert f"meta_Home_and_Garden.json, line 1: {fault}" in str(error.value)
    tally = Tally(skip_broken=True)
    assert rows(source, tally) == ROWS
    assert tally.broken == [f"meta_Home_and_Garden.json, line 1: {fault}"]
    assert tally.dropped == {}  # it is not a review


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_empty_files_are_refused(tmp_path, suffix):
    with pytest.raises(InputError, match=r"reviews_Home_and_Garden_5\.json.* holds no rows: download it again"):
        rows(Amazon(folder(tmp_path / "data", reviews=[], suffix=suffix)))
    with pytest.raises(InputError, match=r"meta_Home_and_Garden\.json.* holds no rows: download it again"):
        rows(Amazon(folder(tmp_path / "data", meta=[], suffix=suffix)))


def test_metadata_is_to_be_a_file(tmp_path):
    source = folder(tmp_path / "data", meta=None)
    with pytest.raises(InputError, match=rf"^{tmp_path} is a folder: name the file that describes the items\.$"):
        open_source("amazon", source, metadata=tmp_path)
    with pytest.raises(InputError, match=r"none\.json is missing: name the file that describes the items"):
        open_source("amazon", source, metadata=tmp_path / "none.json")


def test_undecodable_text_that_is_not_read_does_no_harm(tmp_path):
    line = json.dumps(REVIEWS[0], ensure_ascii=False).encode("latin-1")
    assert rows(Amazon(folder(tmp_path / "data", [line, *REVIEWS[1:]]))) == ROWS


def test_a_truncated_gzip_is_refused(tmp_path):
    file = folder(tmp_path / "data", REVIEWS * 500, suffix=".gz") / "reviews_Home_and_Garden_5.json.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"reviews_Home_and_Garden_5\.json\.gz cannot be read \(.*\): download it again"):
        rows(Amazon(file))


def test_missing_and_ambiguous_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere is missing: name a folder with reviews"):
        Amazon(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no file reviews_\*.json"):
        Amazon(tmp_path)
    source = folder(tmp_path / "data")
    write(source / "meta_Books.json", META)
    with pytest.raises(InputError, match=r"several files meta_\*.json \(meta_Books.json, meta_Home_and_Garden.json\)"):
        Amazon(source)
    assert rows(Amazon(source / "reviews_Home_and_Garden_5.json")) == ROWS
    write(source / "reviews_Books_5.json", [])
    with pytest.raises(InputError, match=r"several files reviews_\*.json"):
        Amazon(source)
