"""The impressions of an import, worked out by hand: their order, histories, splits and parts; and those of a real file."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components.base.tfrecord import read_batches
from pipeline.datasets.importing import import_source as importing
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.sequences import Sequences
from tests.pipeline.datasets.importing.list_source import ListSource, brought_in, event, impressions

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
SPORTS = SHARED / "data" / "sports" / "Sports_and_Outdoors.txt"

pytestmark = pytest.mark.usefixtures("splits_may_be_empty")


def test_impressions_worked_out_by_hand(tmp_path: Path) -> None:
    rows = [event(7, 3, 300), event(7, 1, 300), event(7, 0, 100), event(7, 2, 200, 0), event(7, 4, 400), event(0, 4, 250, 0)]
    manifest, made = brought_in(tmp_path, rows)
    scalars = ("user_id", "candidate_item_id", "candidate_category_id", "timestamp", "label")
    assert [tuple(row[k] for k in scalars) for row in made["train"]] == [
        (7, 0, 0, 100, 1),
        (7, 2, 2, 200, 0),
        (0, 4, 1, 250, 0),
        (7, 3, 0, 300, 1),
        (7, 1, 1, 300, 1),
    ]
    assert [row["historical_item_ids"] for row in made["train"]] == [[], [0], [], [0], [0]]  # not what was clicked in the same second
    assert made["validation"] == []
    (last,) = made["eval"]
    assert (last["candidate_item_id"], last["historical_item_ids"]) == (4, [0, 3, 1])
    assert last["historical_category_ids"] == [0, 0, 1] and last["historical_timestamps"] == [100, 300, 300]
    assert manifest["rows"] == {
        **{"read": 6, "kept": 6, "dropped": {}, "broken": [], "unordered": 1},
        **{"notes": {}, "warnings": {}},
    }
    assert manifest["examples"] == {"train": 5, "validation": 0, "eval": 1}
    assert manifest["base_rate"] == {"train": 0.6, "validation": None, "eval": 1.0}
    assert manifest["time_range"] == {"first": 100, "last": 400}
    assert manifest["split_time_ranges"] == {"train": {"first": 100, "last": 300}, "validation": None, "eval": {"first": 400, "last": 400}}
    assert (manifest["users"], manifest["items"]) == (2, 5)
    assert manifest["largest_user"] == {"user": 7, "interactions": 5}
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["eval", "manifest.json", "sample.jsonl", "train", "validation"]


def test_history_before_counts_clicks_of_the_same_second(tmp_path: Path) -> None:
    _, made = brought_in(tmp_path, [event(1, 5, 10), event(1, 6, 10), event(1, 7, 10)], source={"history": "before"})
    assert [row["historical_item_ids"] for row in made["train"]] == [[], [5], [5, 6]]


def test_history_keeps_the_most_recent(tmp_path: Path) -> None:
    _, made = brought_in(tmp_path, [event(1, item, item) for item in range(5)], history_length=2)
    assert made["eval"][0]["historical_item_ids"] == [2, 3]


@pytest.mark.parametrize(("size", "train", "validation"), [(1, 1, 0), (4, 4, 0), (5, 4, 0), (9, 8, 0), (10, 7, 1), (25, 18, 2)])
def test_last_split_per_user(tmp_path: Path, size: int, train: int, validation: int) -> None:
    """A second user, with 10 earlier ratings, has cuts of their own."""
    mine = [event(1, i, 1000 + i) for i in reversed(range(size))]
    other = [event(2, i, i) for i in range(10)]
    _, made = brought_in(tmp_path, [*mine, *other])
    items = {split: [row["candidate_item_id"] for row in rows if row["user_id"] == 1] for split, rows in made.items()}
    cut = train + validation
    assert items == {"train": [*range(train)], "validation": [*range(train, cut)], "eval": [*range(cut, size)]}


@pytest.mark.parametrize(
    ("times", "train", "validation", "evaluation"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7], [8], [9, 10]),
        ([1, 2, 3, 4, 5, 6, 7, 7, 9, 10], [1, 2, 3, 4, 5, 6, 7, 7], [], [9, 10]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 8, 10], [1, 2, 3, 4, 5, 6, 7], [8, 8], [10]),
        ([1] * 10, [1] * 10, [], []),
        ([10**6 * t for t in range(10)], [10**6 * t for t in range(7)], [7 * 10**6], [8 * 10**6, 9 * 10**6]),
    ],
)
def test_time_split(tmp_path: Path, times: list[int], train: list[int], validation: list[int], evaluation: list[int]) -> None:
    """Cuts are the same for all users: every user has 2 ratings, and "last" would put all of them into train."""
    manifest, made = brought_in(tmp_path, [event(i % 5, i, time) for i, time in enumerate(times)], split="time")
    assert [[row["timestamp"] for row in made[s]] for s in SPLITS] == [train, validation, evaluation]
    assert manifest["split"] == "time" and "cuts in time" in manifest["rules"]["split"]


def test_eval_history_reaches_into_train(tmp_path: Path) -> None:
    _, made = brought_in(tmp_path, [event(1, i, i) for i in range(10)], split="time")
    assert made["eval"][-1]["historical_item_ids"] == [*range(9)]


def test_last_items(tmp_path: Path) -> None:
    """The first click is only in histories; a user with two clicks has one impression, in eval."""
    rows = [*(event(1, i, i) for i in range(6)), *(event(2, i, i) for i in range(2)), event(3, 9, 9)]
    manifest, made = brought_in(tmp_path, rows, source={"has_negatives": False}, last=2)
    clicked = {s: [(row["user_id"], row["candidate_item_id"]) for row in made[s] if row["label"]] for s in SPLITS}
    assert clicked == {"train": [(1, 1)], "validation": [(1, 2), (1, 3)], "eval": [(2, 1), (1, 4), (1, 5)]}
    assert manifest["interactions_without_impression"] == {"clicks before which the user has none: in histories alone": 3}
    assert (manifest["split"], manifest["settings"]["negatives"]) == ("last-items", "uniform")


def test_user_split_keeps_users_apart(tmp_path: Path) -> None:
    rows = [event(user, item, item) for user in range(400) for item in range(3)]
    _, made = brought_in(tmp_path, rows, split="user", eval_share=0.3, validation_share=0.2)
    users = {split: {row["user_id"] for row in rows} for split, rows in made.items()}
    assert users["train"] | users["validation"] | users["eval"] == set(range(400))
    assert sum(map(len, users.values())) == 400 and sum(map(len, made.values())) == 1200
    assert abs(len(users["eval"]) - 120) < 30 and abs(len(users["validation"]) - 80) < 30  # three standard deviations


def test_user_split_follows_from_the_seed(tmp_path: Path) -> None:
    rows = [event(user, 1, 1) for user in range(50)]
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        (tmp_path / str(number)).mkdir()
        _, made = brought_in(tmp_path / str(number), rows, split="user", seed=seed)
        drawn.append([row["user_id"] for row in made["eval"]])
    assert drawn[0] == drawn[1] != drawn[2]


def test_given_split(tmp_path: Path) -> None:
    rows = [*(event(user, 1, 1, split=0) for user in range(200)), event(3, 2, 2, 0, split=2)]
    _, made = brought_in(tmp_path, rows, validation_share=0.25)
    assert [(row["user_id"], row["candidate_item_id"]) for row in made["eval"]] == [(3, 2)]
    assert len(made["train"]) + len(made["validation"]) == 200 and 25 < len(made["validation"]) < 75
    assert "split" not in made["train"][0]


def test_given_validation_is_kept(tmp_path: Path) -> None:
    _, made = brought_in(tmp_path, [event(user, 1, 1, split=user % 3) for user in range(9)])
    assert {split: [row["user_id"] for row in rows] for split, rows in made.items()} == {
        "train": [0, 3, 6],
        "validation": [1, 4, 7],
        "eval": [2, 5, 8],
    }


def test_latest_of_repeated_ratings_counts(tmp_path: Path) -> None:
    rows = [event(1, 2, 30), event(1, 2, 20, 0), event(1, 3, 20, 0), event(1, 3, 20), event(2, 2, 10, 0)]
    manifest, made = brought_in(tmp_path, rows, source={"repeats": "latest"})
    assert [(r["user_id"], r["candidate_item_id"], r["timestamp"], r["label"]) for r in made["train"]] == [
        (2, 2, 10, 0),
        (1, 3, 20, 1),
        (1, 2, 30, 1),
    ]
    assert manifest["rows"]["dropped"] == {"earlier interactions of a user with an item: the latest counts": 2}
    assert manifest["rows"]["read"] == 5 and manifest["rows"]["kept"] == 3


def test_exact_repetitions_are_dropped_and_a_click_wins(tmp_path: Path) -> None:
    rows = [
        event(1, 2, 30, 0, request_id=1),
        event(1, 2, 30, 1, request_id=1),
        event(1, 2, 30, 0, request_id=2),
        event(1, 2, 40, 0, request_id=3),
    ]
    manifest, made = brought_in(tmp_path, rows)
    assert [(r["timestamp"], r["request_id"], r["label"]) for r in made["train"]] == [(30, 1, 1), (30, 2, 0), (40, 3, 0)]
    assert sum(manifest["rows"]["dropped"].values()) == 1


def test_without_timestamps_the_order_of_the_rows_counts(tmp_path: Path) -> None:
    rows = [{"user_id": user, "candidate_item_id": item, "label": 1} for user, item in [(1, 5), (2, 5), (1, 6), (1, 5), (1, 5)]]
    manifest, made = brought_in(tmp_path, rows)
    assert [(row["user_id"], row["historical_item_ids"]) for row in made["train"]] == [
        (1, []),
        (2, []),
        (1, [5]),
        (1, [5, 6]),
        (1, [5, 6, 5]),
    ]
    assert manifest["time_range"] is None and "historical_timestamps" not in made["train"][0]


def test_features_and_missing_values(tmp_path: Path) -> None:
    rows = [event(1, 2, 3, age=None, place=b"x", price=0.5), event(1, 3, 4, age=7, place=None, price=None)]
    types = {"place": pa.binary(), "price": pa.float64()}
    _, made = brought_in(tmp_path, rows, source={"types": types})
    assert [(row["age"], row["place"], row["price"]) for row in made["train"]] == [(None, b"x", 0.5), (7, None, None)]


def test_histories_that_the_source_brings(tmp_path: Path) -> None:
    rows = [
        {"user_id": 1, "candidate_item_id": 2, "label": 1, "historical_item_ids": [4, 5]},
        {"user_id": 1, "candidate_item_id": 3, "label": 0, "historical_item_ids": []},
    ]
    _, made = brought_in(tmp_path, rows, source={"types": {"historical_item_ids": pa.list_(pa.int64())}})
    assert [row["historical_item_ids"] for row in made["train"]] == [[4, 5], []]


def test_parts_and_files_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of parts and of shards does not change the impressions, not even sampled negatives."""
    rng = np.random.default_rng(0)
    rows = [event(int(u), int(i), int(t)) for u, i, t in zip(*rng.integers(0, (20, 30, 10**6), (250, 3)).T, strict=True)]
    source = ListSource([rows[:100], rows[100:]], tmp_path / "files", has_negatives=False)
    import_source(source, tmp_path / "one", ImportSettings(split="time"))
    monkeypatch.setattr(importing, "_PART_BYTES", 20)
    monkeypatch.setattr(importing, "SHARD_SIZE", 50)
    many = import_source(source, tmp_path / "many", ImportSettings(split="time"))
    assert impressions(tmp_path / "one") == impressions(tmp_path / "many")
    assert len(list((tmp_path / "many" / "train").iterdir())) > 3 and many["rows"]["read"] == 250


def test_a_given_split_keeps_later_splits_out_of_histories(tmp_path: Path) -> None:
    """The click at 20 is in eval, so the history of train's impression at 30 must not have it."""
    rows = [
        event(1, 5, 10, split=0),
        event(1, 7, 20, split=2),
        event(1, 6, 30, 0, split=0),
        event(1, 8, 40, 0, split=2),
        event(1, 9, 9, split=1),
    ]
    _, made = brought_in(tmp_path, rows)
    histories = {row["candidate_item_id"]: row["historical_item_ids"] for split in SPLITS for row in made[split]}
    assert histories == {5: [], 6: [5], 9: [], 7: [9, 5], 8: [9, 5, 7]}


def test_users_without_an_impression_are_no_harm(tmp_path: Path) -> None:
    rows = [event(user, user, user) for user in range(3)]
    manifest, _ = brought_in(tmp_path, rows, source={"has_negatives": False}, split="last")
    assert manifest["examples"] == {"train": 0, "validation": 0, "eval": 0}


@pytest.mark.skipif(not SPORTS.is_file(), reason=f"{SPORTS} is not here: set DIN_SHARED to the folder that has data/sports")
def test_amazon_sports_as_a_loop_over_the_file_finds_it(tmp_path: Path) -> None:
    """Finds the last items of each user of S3-Rec's file in plain Python."""
    manifest = import_source(Sequences(SPORTS), tmp_path / "out", ImportSettings(history_length=20))
    assert manifest["users"] == 35_598 and manifest["items"] == 18_357 and manifest["rows"]["read"] == 296_337
    assert manifest["examples"] == {"train": 379_086, "validation": 71_196, "eval": 71_196}
    expected: dict[str, list[tuple[Any, ...]]] = {"validation": [], "eval": []}
    known = {}
    for line in SPORTS.read_text().splitlines():
        user, *items = map(int, line.split())
        known[user] = set(items)
        for split, place in (("eval", len(items) - 1), ("validation", len(items) - 2)):
            expected[split].append((user, items[place], tuple(items[max(0, place - 20) : place])))
    for split, wanted in expected.items():
        made = pa.Table.from_batches(batch for path in sorted((tmp_path / "out" / split).iterdir()) for batch in read_batches(path))
        label, user, item = (pc.list_flatten(made[name]).to_numpy() for name in ("label", "user_id", "candidate_item_id"))
        histories = made["historical_item_ids"].filter(pa.array(label == 1)).to_pylist()
        assert Counter(zip(user[label == 1], item[label == 1], map(tuple, histories), strict=True)) == Counter(wanted)
        assert not any(i in known[u] for u, i in zip(user[label == 0], item[label == 0], strict=True))
