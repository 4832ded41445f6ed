"""MIND's files written by hand: impression lists, categories of candidates and of histories, and the split of the folders."""

from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.by_name import open_source
from pipeline.datasets.sources.interactions import Tally

BEHAVIORS = [
    "1\tU1\t11/15/2019 10:22:32 AM\tN3 N9\tN1-0 N2-1",
    "2\tU2\t11/15/2019 10:22:32 PM\t\tN1-1",
]
NEWS = [
    'N1\tsports\tsoccer\tA "title\tText\thttps://x\t[]\t[]',
    "N2\tnews\tnewsus\té\t\thttps://x\t[]\t[]",
    "N3\tfoodanddrink\trecipes\tx\tx\tx\t\t",
]
ROWS = [  # request, user, item, label, time, category, subcategory, history, its categories
    (b"1", b"U1", b"N1", 0, 1573813352, b"sports", b"soccer", [b"N3", b"N9"], [b"foodanddrink", b"(unknown)"]),
    (b"1", b"U1", b"N2", 1, 1573813352, b"news", b"newsus", [b"N3", b"N9"], [b"foodanddrink", b"(unknown)"]),
    (b"2", b"U2", b"N1", 1, 1573856552, b"sports", b"soccer", [], []),
]
COLUMNS = (
    *("request_id", "user_id", "candidate_item_id", "label", "timestamp", "candidate_category_id", "candidate_subcategory_id"),
    *("historical_item_ids", "historical_category_ids"),
)


def mind(folder: Path, behaviors: list[str] = BEHAVIORS, news: list[str] | None = NEWS) -> Path:
    folder.mkdir(parents=True)
    (folder / "behaviors.tsv").write_text("".join(line + "\n" for line in behaviors))
    if news is not None:
        (folder / "news.tsv").write_text("".join(line + "\n" for line in news))
    return folder


def read(path: Path, tally: Tally | None = None) -> list[dict[str, Any]]:
    source = open_source("mind", path)
    tally = tally or Tally()
    batches = [batch for file in source.files() for batch in source.read(file, tally)]
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read(path)
    return str(error.value)


def test_each_item_of_a_list_is_an_impression(tmp_path: Path) -> None:
    """Case 7: the request is the impression's id; the news give the categories of candidates and of histories."""
    folder = mind(tmp_path / "MINDsmall_dev")
    for path in (folder, folder / "behaviors.tsv"):
        rows = read(path)
        assert [tuple(row[name] for name in COLUMNS) for row in rows] == ROWS
        assert rows[0]["historical_subcategory_ids"] == [b"recipes", b"(unknown)"]
        rule = "historical_item_ids: history; historical_category_ids, historical_subcategory_ids as news.tsv has the items"
        assert rule in open_source("mind", path).rules["histories"]
        assert "split" not in rows[0] and "folders" not in open_source("mind", path).rules


def splits(path: Path) -> list[tuple[bytes, int]]:
    return [(row["candidate_item_id"], row["split"]) for row in read(path)]


def test_folders_are_a_split(tmp_path: Path) -> None:
    """Without labels in test, dev is eval/ (2); with them, it is validation/ (1)."""
    mind(tmp_path / "MINDlarge_train", [BEHAVIORS[0]])
    mind(tmp_path / "MINDlarge_dev", ["1\tU3\t11/15/2019 10:22:32 AM\t\tN4-1"], ["N4\tonly in dev\tx\tx\tx\tx\tx\tx"])
    assert splits(tmp_path) == [(b"N1", 0), (b"N2", 0), (b"N4", 2)]
    assert read(tmp_path)[2]["candidate_category_id"] == b"only in dev"
    test = mind(tmp_path / "MINDlarge_test", ["1\tU3\t11/15/2019 10:22:32 AM\t\tN5 N6"])
    assert splits(tmp_path) == [(b"N1", 0), (b"N2", 0), (b"N4", 2)]
    rule = "train: MINDlarge_train, eval: MINDlarge_dev, without labels, and so left out: MINDlarge_test"
    assert open_source("mind", tmp_path).rules["folders"] == rule
    (test / "behaviors.tsv").write_text("1\tU3\t11/15/2019 10:22:32 AM\t\tN5-1\n")
    assert splits(tmp_path) == [(b"N1", 0), (b"N2", 0), (b"N4", 1), (b"N5", 2)]


def test_an_import_takes_the_split(tmp_path: Path) -> None:
    lines = [f"{user}\tU{user}\t11/15/2019 10:22:32 AM\tN3\tN1-0 N2-1" for user in range(20)]
    mind(tmp_path / "in" / "train", lines)
    mind(tmp_path / "in" / "valid", BEHAVIORS)
    manifest = import_source(open_source("mind", tmp_path / "in"), tmp_path / "out", ImportSettings())
    assert manifest["split"] == "given" and manifest["examples"]["eval"] == 3
    assert manifest["examples"]["train"] + manifest["examples"]["validation"] == 40
    assert manifest["rows"]["dropped"] == {}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    nothing = f"{tmp_path} has no behaviors.tsv, nor folders with it whose names end in train and in dev or test (test only with labels)"
    assert nothing in refused(tmp_path)
    train = mind(tmp_path / "MINDsmall_train", news=None)
    assert nothing in refused(tmp_path)
    assert refused(train) == f"{train / 'news.tsv'} is missing: put it beside behaviors.tsv, since it has the categories."
    mind(tmp_path / "MINDsmall_dev")
    mind(tmp_path / "old_dev")
    assert f"{tmp_path} has several folders of dev (MINDsmall_dev, old_dev): keep one." == refused(tmp_path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("3\tU1\t11/15/2019 10:22:32 AM\t\tN1", "impressions is 'N1', but must be items with labels, as in N1-0 N2-1"),
        ("3\tU1\t2019-11-15\t\tN1-0", "time is '2019-11-15', but must be a time until 2100 written as %m/%d/%Y %I:%M:%S %p"),
        ("3\tU1\t11/15/2019 10:22:32 AM\tN1-0", "it has 4 value(s), but must have 5"),
        ("3\t\t11/15/2019 10:22:32 AM\t\tN1-0", "user is missing"),
    ],
)
def test_broken_lines_are_named_or_counted(tmp_path: Path, line: str, fault: str) -> None:
    folder = mind(tmp_path / "dev", [BEHAVIORS[0], line, BEHAVIORS[1]])
    assert f"{folder / 'behaviors.tsv'}, line 2: {fault}" in refused(folder)
    tally = Tally(skip_broken=True)
    assert len(read(folder, tally)) == 3
    assert tally.dropped == {"broken lines": 1}


def test_broken_news_are_named_or_counted(tmp_path: Path) -> None:
    folder = mind(tmp_path / "dev", news=[*NEWS, "N1\tsports"])
    assert f"{folder / 'news.tsv'}, line 4: it has 2 value(s), but must have 8" in refused(folder)
    tally = Tally(skip_broken=True)
    assert len(read(folder, tally)) == 3
    assert tally.notes == {"broken lines of news.tsv, whose items count as unknown": 1}
