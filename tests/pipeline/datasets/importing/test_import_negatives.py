"""The negatives that an import draws: items that the user does not know, as often as clicked in train, with the history of the click."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.datasets.importing.import_report import lines
from pipeline.datasets.layout import SPLITS
from tests.pipeline.datasets.importing.list_source import brought_in, event

pytestmark = pytest.mark.usefixtures("splits_may_be_empty")


def test_a_given_split_draws_no_item_that_the_user_knows(tmp_path: Path) -> None:
    """User 1 has rows in eval alone, so train's rows begin with user 2, who knows items 1 and 2: only item 3 can be a negative."""
    rows = [event(1, 3, 100, split=2), event(1, 3, 200, split=2)]
    rows += [event(2, item, time, split=0) for time in range(300, 340) for item in (1, 2)]
    _, made = brought_in(tmp_path, rows, source={"types": {"split": pa.int8()}}, negatives="uniform", split="given")
    assert {row["candidate_item_id"] for row in made["train"] + made["validation"] if not row["label"]} == {3}


def test_negatives_are_never_known_to_the_user(tmp_path: Path) -> None:
    """Also not an item that the user saw later, or did not click."""
    rng = np.random.default_rng(1)
    rows = [event(int(u), int(i), t, int(c)) for t, (u, i, c) in enumerate(zip(*rng.integers(0, (10, 25, 2), (150, 3)).T, strict=True))]
    manifest, made = brought_in(tmp_path, rows, negatives="uniform", negatives_per_positive=3, split="last-items")
    known: dict[int, set[int]] = {}
    for row in rows:
        known.setdefault(row["user_id"], set()).add(row["candidate_item_id"])
    every = [row for split in SPLITS for row in made[split]]
    negatives = [row for row in every if not row["label"]]
    assert len(negatives) == 3 * sum(row["label"] for row in every) > 100
    assert all(row["candidate_item_id"] not in known[row["user_id"]] for row in negatives)
    assert all(row["candidate_category_id"] == row["candidate_item_id"] % 3 for row in negatives)
    assert "drawn by seed 0, every item alike" in manifest["rules"]["negatives"]


def test_a_negative_has_the_history_and_time_of_its_click(tmp_path: Path) -> None:
    rows = [*(event(1, i, i) for i in range(4)), event(2, 9, 0)]
    _, made = brought_in(tmp_path, rows, source={"has_negatives": False})
    click, negative = made["eval"]
    assert (click["label"], negative["label"], negative["candidate_item_id"]) == (1, 0, 9)
    for name in ("historical_item_ids", "historical_timestamps", "timestamp", "user_id"):
        assert click[name] == negative[name]


def test_a_user_who_knows_every_item_gets_no_negatives(tmp_path: Path) -> None:
    rows = [*(event(1, i, i) for i in range(4)), *(event(2, i, i) for i in range(2))]
    manifest, made = brought_in(tmp_path, rows, source={"has_negatives": False})
    assert {row["user_id"] for row in made["eval"] if not row["label"]} == {2}
    assert manifest["negatives_not_drawn"] == 3 and "3 negatives could not be drawn" in "\n".join(lines(manifest))


def test_popular_items_are_drawn_in_proportion(tmp_path: Path) -> None:
    """Item 0 has three times the clicks of item 1; users from 1000 on know neither of them."""
    rows = [event(user, int(user % 4 == 0), user) for user in range(400)]
    rows += [event(1000 + user, 2 + item, item) for user in range(300) for item in range(2)]
    _, made = brought_in(tmp_path, rows, source={"has_negatives": False}, negatives="popularity")
    drawn = Counter(row["candidate_item_id"] for split in SPLITS for row in made[split] if not row["label"])
    assert drawn[0] + drawn[1] == 300 and abs(drawn[0] - 225) < 25  # three standard deviations


def test_popularity_is_that_of_train(tmp_path: Path) -> None:
    """Item 8 is clicked only in eval, by nine of ten users; item 9 is clicked by the tenth user, only in a history."""
    rows = [event(user, item, time) for user in range(9) for time, item in enumerate((100 + user, 200 + user, 8))]
    rows += [event(9, item, time) for time, item in enumerate((9, 300, 301))]
    _, made = brought_in(tmp_path, rows, source={"has_negatives": False}, negatives="popularity", negatives_per_positive=50)
    drawn = {row["candidate_item_id"] for split in SPLITS for row in made[split] if not row["label"]}
    assert drawn == {9, *range(100, 109)}  # 8, 200 to 208, 300 and 301 are clicked in validation or eval


def test_a_user_who_knows_nearly_every_item_gets_the_others(tmp_path: Path) -> None:
    """User 1 knows items 0 to 1,999. Items 2,000 (three clicks) and 2,001 (one click) are left; drawing at random rarely finds them."""
    rows = [event(1, i, i) for i in range(2000)]
    rows += [event(user, item, user) for user, item in ((2, 2000), (3, 2000), (4, 2000), (5, 2001))]
    _, made = brought_in(tmp_path, rows, source={"has_negatives": False}, negatives="popularity")
    drawn = Counter(row["candidate_item_id"] for split in SPLITS for row in made[split] if not row["label"])
    assert set(drawn) == {2000, 2001} and drawn.total() == 1999 and abs(drawn[2000] - 1499) < 60  # three standard deviations


def test_an_item_has_one_category_where_negatives_are_drawn(tmp_path: Path) -> None:
    """The category of its first row: in clicks, in histories and in negatives."""
    rows = [event(user, item, time) for time, (user, item) in enumerate([(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, 4), (1, 5)])]
    rows[3]["candidate_category_id"] = 7  # item 1 again
    _, made = brought_in(tmp_path, rows, source={"has_negatives": False})
    seen = {(row["candidate_item_id"], row["candidate_category_id"]) for split in SPLITS for row in made[split]}
    seen |= {
        pair for s in SPLITS for row in made[s] for pair in zip(row["historical_item_ids"], row["historical_category_ids"], strict=True)
    }
    assert (1, 1) in seen and all(category == item % 3 for item, category in seen)


def test_items_of_histories_that_the_source_brings_are_known(tmp_path: Path) -> None:
    rows = [{"user_id": 1, "candidate_item_id": 1, "label": 1, "historical_item_ids": [2, 77]}]
    rows += [{"user_id": 2, "candidate_item_id": item, "label": 1, "historical_item_ids": []} for item in (2, 3)]
    source = {"has_negatives": False, "types": {"historical_item_ids": pa.list_(pa.int64())}}
    _, made = brought_in(tmp_path, rows, source=source)
    assert {row["candidate_item_id"] for s in SPLITS for row in made[s] if row["user_id"] == 1 and not row["label"]} == {3}
