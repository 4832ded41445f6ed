"""Hand-made reviews and metadata, strict and loose, and every kind of fault in them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
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
    assert "whatever its stars" in amazon.rules["label"] and "the last one in the item's list" in amazon.rules["category"]
    assert amazon.rules["form"] == "reviews of 2014 or 2018: reviewerID, asin, unixReviewTime"


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
        ('{"asin": "B1", "unixReviewTime": 1}', "reviewerID is None, but must be text in UTF-8"),
        ('{"reviewerID": ["A"], "asin": "B1", "unixReviewTime": 1}', "reviewerID is ['A'], but must be a single value"),
        ('{"reviewerID": "A", "asin": "", "unixReviewTime": 1}', "asin is '', but must be text in UTF-8"),
        (b'{"reviewerID": "A", "asin": "\xff", "unixReviewTime": 1}', "asin is '\\udcff', which is not text in UTF-8"),
        (
            '{"reviewerID": "A", "asin": "B", "unixReviewTime": "today"}',
            "unixReviewTime is 'today', but must be a time in whole unix seconds",
        ),
        ('{"reviewerID": "A", "asin": "B", "unixReviewTime": true}', "unixReviewTime is 'true', but must be a time in whole unix seconds"),
        (
            '{"reviewerID": "A", "asin": "B", "unixReviewTime": 1400000000000}',
            "unixReviewTime is 1400000000000, but must be a time in whole unix seconds",
        ),
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
        ("{'asin': 'B1', 'categories': 'GPS'}", "categories is 'GPS', but must be a list of texts, or a list of such lists"),
        ("{'asin': 'B1', 'categories': [[1]]}", "categories is [[1]], but must be a list of texts, or a list of such lists"),
        ("{'asin': 'B1', 'category': [1]}", "category is [1], but must be a list of texts, or a list of such lists"),
        ("{'asin': ''}", "asin is '', but must be text"),
        ("[]", "it is not a JSON object"),
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
    with pytest.raises(InputError, match="nowhere is missing: name the file of reviews, or the folder"):
        Amazon(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no file of reviews"):
        Amazon(tmp_path)
    source = folder(tmp_path / "data")
    write(source / "meta_Books.json", META)
    with pytest.raises(InputError, match=r"several files meta_\*.json \(meta_Books.json, meta_Home_and_Garden.json\)"):
        Amazon(source)
    assert rows(Amazon(source / "reviews_Home_and_Garden_5.json")) == ROWS
    write(source / "reviews_Books_5.json", [])
    with pytest.raises(InputError, match=r"several files of reviews"):
        Amazon(source)


REVIEWS_2018 = [
    {"overall": 5.0, "verified": True, "reviewerID": "A1", "asin": "I1", "style": {"Edition:": " PC"}, "unixReviewTime": DAY},
    {"overall": 2.0, "verified": False, "reviewerID": "A1", "asin": "I2", "unixReviewTime": 2 * DAY},
    {"overall": 4.0, "reviewerID": "A2", "asin": "I3", "unixReviewTime": 3 * DAY, "vote": "3", "image": ["http://x"]},
    {"overall": 4.0, "reviewerID": "A2", "asin": "I4", "unixReviewTime": 3 * DAY},
]
META_2018 = [
    '{"category": ["Video Games", "PC"], "asin": "I1", "main_cat": "Video Games"}',
    '{"category": [], "asin": "I2", "main_cat": "Movies &amp; TV"}',
    '{"category": ["Clothing", "Shirts", "</span></span></span>"], "asin": "I3", "main_cat": "<img src=\'x\'/>"}',
    '{"category": [], "asin": "I4", "main_cat": "<img src=\'x\'/>"}',
]
CATEGORIES_2018 = [b"PC", b"Movies &amp; TV", b"Shirts", b"(unknown)"]


def lines(path: Path, objects: list[dict[str, Any]]) -> Path:
    return write(path, [json.dumps(each) for each in objects])


@pytest.mark.parametrize("name", ["Video_Games_5.json", "Video_Games_5.json.gz", "Video_Games.json.gz"])
def test_reviews_of_2018(tmp_path, name):
    """Case 3: the file or its folder. A list without a name falls back on the main category; HTML in either is passed over."""
    file = lines(tmp_path / name, REVIEWS_2018)
    write(tmp_path / "meta_Video_Games.json.gz", META_2018)
    for source in (tmp_path, file):
        amazon = Amazon(source)
        found = rows(amazon)
        assert [row["candidate_category_id"] for row in found] == CATEGORIES_2018
        assert [(row["user_id"], row["candidate_item_id"], row["label"], row["timestamp"] // DAY) for row in found] == [
            *((b"A1", b"I1", 1, 1), (b"A1", b"I2", 1, 2), (b"A2", b"I3", 1, 3), (b"A2", b"I4", 1, 3))
        ]
        assert amazon.rules["form"] == "reviews of 2014 or 2018: reviewerID, asin, unixReviewTime"


REVIEWS_2023 = [
    {"rating": 5.0, "title": "x", "images": [], "asin": "C1", "parent_asin": "P1", "user_id": "U1", "timestamp": 1588687728923},
    {"rating": 1.0, "asin": "C2", "parent_asin": "P2", "user_id": "U1", "timestamp": 1588687729000, "verified_purchase": True},
    {"rating": 1.0, "asin": "C3", "parent_asin": "P3", "user_id": "U2", "timestamp": 86400000},
]
META_2023 = [
    '{"main_category": "Video Games", "title": "x", "categories": ["Video Games", "PC", "Games"], "parent_asin": "P1"}',
    '{"main_category": "Computers", "categories": [], "parent_asin": "P2"}',
    '{"main_category": null, "categories": [], "parent_asin": "P3"}',
]
ROWS_2023 = [
    (b"U1", b"P1", 1, 1588687728, b"Games"),
    (b"U1", b"P2", 1, 1588687729, b"Computers"),
    (b"U2", b"P3", 1, 86400, b"(unknown)"),
]


def test_all_categories_brand_and_price_are_item_fields(tmp_path):
    """Of 2014: the second line of B02 does not count; B01 has several paths, and B03, B09 have nothing."""
    meta = [
        '{"asin": "B01", "categories": [["Electronics", "GPS"], ["Electronics", "Café"]], "brand": "Acme", "price": 12.5}',
        "{'asin': 'B02', 'categories': [['Electronics', 'Cables']], 'brand': '', 'price': None}",
        "{'asin': 'B02', 'categories': [['Electronics', 'later']], 'brand': 'late', 'price': 1}",
        "{'asin': 'B03'}",
    ]
    amazon = Amazon(folder(tmp_path / "data", meta=meta), item_fields=True)
    assert rows(amazon) == [
        {**ROWS[0], "candidate_categories": [b"Electronics", b"GPS", "Café".encode()], "candidate_brand": b"Acme", "candidate_price": 12.5},
        {**ROWS[1], "candidate_categories": [b"Electronics", b"Cables"], "candidate_brand": b"(unknown)", "candidate_price": None},
        {**ROWS[2], "candidate_categories": None, "candidate_brand": b"(unknown)", "candidate_price": None},
    ]
    assert {"candidate_categories", "candidate_brand", "candidate_price"} <= amazon.rules.keys()
    assert [{name: row[name] for name in ROWS[0]} for row in rows(amazon)] == rows(Amazon(tmp_path / "data"))


@pytest.mark.parametrize(
    ("price", "expected", "noted"),
    [
        ("$1,299.99", 1299.99, 0),
        ("7", 7.0, 0),
        (" $0.5 ", 0.5, 0),
        (3, 3.0, 0),
        ("", None, 0),
        (None, None, 0),
        ("None", None, 0),
        ("$1 - $5", None, 1),
        (".a-box-inner{background-color:#fff}", None, 1),
        (-1, None, 1),
        (True, None, 1),
        ([1], None, 1),
    ],
)
def test_prices(tmp_path, price, expected, noted):
    tally = Tally()
    source = folder(tmp_path / "data", meta=[json.dumps({"asin": "B01", "price": price})])
    assert rows(Amazon(source, item_fields=True), tally)[0]["candidate_price"] == (expected and pytest.approx(expected))
    note = "prices in meta_Home_and_Garden.json are no single number and count as missing, such as $1 - $5"
    assert tally.notes[note] == noted


def test_item_fields_of_2018_and_2023(tmp_path):
    """HTML is passed over in categories and brands; the store of 2023 is the brand."""
    lines(tmp_path / "Video_Games.json", REVIEWS_2018[2:3])
    meta = '{"category": ["Clothing", "Shirts", "</span>"], "asin": "I3", "brand": "<a>", "price": "$5.00"}'
    write(tmp_path / "meta_Video_Games.json", [meta])
    (row,) = rows(Amazon(tmp_path, item_fields=True))
    assert (row["candidate_categories"], row["candidate_brand"], row["candidate_price"]) == ([b"Clothing", b"Shirts"], b"(unknown)", 5.0)
    other = tmp_path / "2023"
    other.mkdir()
    lines(other / "Video_Games.jsonl", REVIEWS_2023[:1])
    write(other / "meta_Video_Games.jsonl", ['{"categories": ["A", "B", "A"], "parent_asin": "P1", "store": "Sega", "price": 19.99}'])
    (row,) = rows(Amazon(other, item_fields=True))
    assert (row["candidate_categories"], row["candidate_brand"]) == ([b"A", b"B"], b"Sega")
    assert row["candidate_price"] == pytest.approx(19.99)


def test_item_fields_need_metadata(tmp_path):
    with pytest.raises(InputError, match=r"--item-fields needs the file of the products, meta_\*"):
        Amazon(folder(tmp_path / "data", meta=None), item_fields=True)
    with pytest.raises(
        InputError, match="--item-fields is for movielens and amazon, not for clicklog: its mapping says which fields are read"
    ):
        open_source("clicklog", tmp_path, tmp_path / "m.toml", item_fields=True)


def values(amazon: Amazon) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(amazon)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reviews_of_2023(tmp_path, suffix):
    """Case 3: times are in milliseconds, rounded down; the product is the parent."""
    file = lines(tmp_path / f"Video_Games.jsonl{suffix}", REVIEWS_2023)
    write(tmp_path / f"meta_Video_Games.jsonl{suffix}", META_2023)
    for source in (tmp_path, file):
        assert values(Amazon(source)) == ROWS_2023
        assert Amazon(source).rules["form"] == "reviews of 2023: user_id, parent_asin, timestamp"


CSV = "user_id,parent_asin,rating,timestamp"


def test_the_5_core_of_2023_is_csv(tmp_path):
    file = write(tmp_path / "Video_Games.csv", [CSV, "U1,P1,5.0,1588687728923", "U1,P2,1.0,1588687729000", "U2,P3,1.0,86400000"])
    assert values(Amazon(file)) == [row[:4] for row in ROWS_2023]
    assert Amazon(file).rules["category"] == "none, since there is no file meta_Video_Games.json"
    write(tmp_path / "meta_Video_Games.jsonl", META_2023)
    assert values(Amazon(file)) == values(Amazon(tmp_path)) == ROWS_2023
    write(file, [CSV, "U1,P1,5.0,2020-05-05"])
    with pytest.raises(
        InputError, match=r"Video_Games\.csv, line 2: timestamp is '2020-05-05', but must be a time in whole unix milliseconds"
    ):
        rows(Amazon(file))


def test_the_split_of_2023_is_given(tmp_path):
    """With the histories that the published files have, which are not used: the import builds them."""
    for split, items in (("train", (0, 1)), ("valid", (2,)), ("test", (3,))):
        clicks = [f"U1,P{item},5.0,{1588687728923 + 1000 * item},P7 P8" for item in items]
        write(tmp_path / f"Video_Games.{split}.csv", [f"{CSV},history", *clicks])
    amazon = Amazon(tmp_path)
    assert [(row["candidate_item_id"], row["split"]) for row in rows(amazon)] == [(b"P0", 0), (b"P1", 0), (b"P2", 1), (b"P3", 2)]
    assert "split" not in Amazon(tmp_path / "Video_Games.train.csv").schema.names
    manifest = import_source(amazon, tmp_path / "out", ImportSettings())
    assert (manifest["split"], manifest["examples"]) == ("given", {"train": 1, "validation": 1, "eval": 1})


@pytest.mark.parametrize(
    "names", [("Video_Games.json", "Video_Games_5.json"), ("A.train.csv", "A.valid.csv", "B.test.csv"), ("A.train.csv", "A.test.csv")]
)
def test_several_files_of_reviews_are_refused(tmp_path, names):
    for name in names:
        write(tmp_path / name, ["{}"])
    with pytest.raises(InputError, match=rf"several files of reviews \({', '.join(sorted(names))}\): keep one, or name it"):
        Amazon(tmp_path)


def test_other_files_are_named(tmp_path):
    file = write(tmp_path / "ratings.csv", ["A1,B1,5.0,1400000000"])
    message = (
        f"{file} has neither the keys of reviews of 2014 or 2018 (reviewerID, asin, unixReviewTime) nor those of 2023 "
        "(user_id, parent_asin, timestamp); it has: A1, B1, 5.0, 1400000000. Name a file of reviews, or import it with clicklog."
    )
    with pytest.raises(InputError) as error:
        rows(Amazon(file))
    assert str(error.value) == message
    lines(tmp_path / "x.jsonl", [{"user_id": "U", "parent_asin": "P"}])
    with pytest.raises(InputError, match=r"x\.jsonl has neither the keys .* it has: user_id, parent_asin\. Name a file of reviews"):
        rows(Amazon(tmp_path / "x.jsonl"))
