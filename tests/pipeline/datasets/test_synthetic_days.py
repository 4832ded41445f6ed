"""Synthetic days: the world that changes, the oracle of each day against scikit-learn, histories over days."""

import json
from collections import defaultdict, deque
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from components.base.errors import InputError
from components.base.tfrecord import read_batches
from pipeline.datasets.day_writer import empty_days
from pipeline.datasets.manifest import read_oracle
from pipeline.datasets.spans import Span, find_spans
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_days import change, simulate_days
from pipeline.datasets.synthetic_world import ITEM_APPEAL, USER_TASTE, click_probability, make_world, new_memory

FOUR = SyntheticConfig(examples=4_003, users=60, items=40, categories=8, history=4, seed=3, days=4, drift=0.1)  # the last page is cut
LARGE = SyntheticConfig(examples=1_000, users=20_000, items=20_000, days=2, drift=0.2)

Row = dict[str, Any]


def read(span: Span) -> list[Row]:
    rows = [row for path in span.shards() for batch in read_batches(path) for row in batch.to_pylist()]
    return [{n: (v or []) if n.startswith("historical_") else v[0] for n, v in row.items()} for row in rows]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "days"
    generate(FOUR, out, item_features=out.parent / "items.npz", command="din synth")
    return out


@pytest.fixture(scope="module")
def days(data: Path) -> dict[str, list[Row]]:
    return {span.name: read(span) for span in find_spans(data)}


def test_days_are_spans_of_a_quarter_each(data: Path, days: dict[str, list[Row]]) -> None:
    """4,003 impressions are 801 pages of 5: 201, 200, 200 and 200, and the last page shows 3."""
    assert {name: len(rows) for name, rows in days.items()} == {
        "2026-01-01": 1_005, "2026-01-02": 1_000, "2026-01-03": 1_000, "2026-01-04": 998
    }  # fmt: skip
    for name, rows in days.items():
        times = [row["timestamp"] for row in rows]
        assert times == sorted(times)
        assert {datetime.fromtimestamp(time, UTC).date().isoformat() for time in times} == {name}
        assert max(times) - min(times) > 80_000  # a day has 86,400 seconds
        assert json.loads((data / f"day={name}" / "sample.jsonl").read_text().splitlines()[0])["timestamp"] == times[0]
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["days"] == {name: len(rows) for name, rows in days.items()} and manifest["empty_days"] == []
    assert manifest["examples"] == {"impressions": 4_003}


def test_histories_are_the_clicks_before_on_any_day(days: dict[str, list[Row]]) -> None:
    clicks: dict[int, deque[tuple[int, int, int]]] = defaultdict(lambda: deque(maxlen=FOUR.history))
    every = [row for name in sorted(days) for row in days[name]]
    for page in (every[i : i + PAGE] for i in range(0, len(every), PAGE)):
        (user,) = {row["user_id"] for row in page}
        for row in page:
            history = list(zip(row["historical_item_ids"], row["historical_category_ids"], row["historical_timestamps"], strict=True))
            assert history == list(clicks[user]) and all(time < row["timestamp"] for *_, time in history)
        clicks[user].extend((r["candidate_item_id"], r["candidate_category_id"], r["timestamp"]) for r in page if r["label"])


def test_the_oracle_of_a_day_is_that_of_its_rows(data: Path, days: dict[str, list[Row]]) -> None:
    """The probabilities are computed from what was written, with the world of the day; AUC and log loss are scikit-learn's."""
    worlds = {}
    for day in simulate_days(FOUR):
        worlds[day.date.isoformat()] = day.world
        list(day.chunks)
    for name, rows in days.items():
        user, item, label = (np.array([row[n] for row in rows]) for n in ("user_id", "candidate_item_id", "label"))
        history = np.array([[-1] * (FOUR.history - len(r["historical_item_ids"])) + r["historical_item_ids"] for r in rows])
        probability = click_probability(worlds[name], user, item[:, None], history)[:, 0]
        oracle = read_oracle(data / f"day={name}")
        assert oracle is not None
        assert oracle["auc"] == pytest.approx(roc_auc_score(label, probability))
        assert oracle["log_loss"] == pytest.approx(log_loss(label, probability))
        assert json.loads((data / "manifest.json").read_text())["oracle_by_day"][name] == oracle


def test_items_are_born_and_die(days: dict[str, list[Row]], data: Path) -> None:
    """A tenth of 40 items each day: 4 die, and 4 with the next ids are born. The dead are shown no more, but stay in histories."""
    alive = []
    for day in simulate_days(FOUR):
        alive.append(set(day.world.shelf.tolist()))
        list(day.chunks)
    assert [max(ids) for ids in alive] == [39, 43, 47, 51]
    assert all(len(ids) == 40 for ids in alive) and [len(now - before) for before, now in pairwise(alive)] == [4, 4, 4]
    for ids, rows in zip(alive, days.values(), strict=True):
        assert {row["candidate_item_id"] for row in rows} == ids
    remembered = {item for row in days["2026-01-02"] for item in row["historical_item_ids"]}
    assert remembered & (alive[0] - alive[1])
    assert np.load(data.parent / "items.npz")["ids"].tolist() == list(range(52))
    assert json.loads((data / "day=2026-01-02" / "manifest.json").read_text())["items"] == {"all": 40, "born": 4, "died": 4}


def test_tastes_appeals_and_interests_move_by_the_drift_and_keep_their_spread() -> None:
    """Of 20,000 draws with drift 0.2: correlation 0.8 of tastes and appeals, equal standard deviation; 0.2 · 49/50 of interests moved."""
    rng = np.random.default_rng(0)
    world = make_world(LARGE, rng)
    memory = new_memory(LARGE, world, rng)
    wanted = memory.wanted.copy()
    after, born = change(LARGE, world, memory, rng)
    survivors = np.intersect1d(world.shelf, after.shelf)
    assert born == 4_000 and len(survivors) == 16_000
    for old, new, spread in ((world.taste, after.taste, USER_TASTE), (world.appeal[survivors], after.appeal[survivors], ITEM_APPEAL)):
        assert np.corrcoef(old, new)[0, 1] == pytest.approx(0.8, abs=0.02)
        assert new.std() == pytest.approx(spread, rel=0.03)
    assert (wanted != memory.wanted).mean() == pytest.approx(0.2 * 49 / 50, abs=0.005)
    assert (after.vector[: len(world.vector)] == world.vector).all()  # known items stay what they are
    changed = world.shelf != after.shelf
    assert (after.category[after.shelf[changed]] == world.category[world.shelf[changed]]).all()


def test_without_drift_every_day_has_the_same_world() -> None:
    still = FOUR.model_copy(update={"drift": 0.0})
    worlds = []
    for day in simulate_days(still):
        worlds.append(day.world)
        list(day.chunks)
    for world in worlds[1:]:
        assert all(np.array_equal(found, first) for found, first in zip(world, worlds[0], strict=True))


def test_same_seed_same_bytes(data: Path, tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    generate(FOUR, tmp_path / "again", command="din synth")
    assert contents(tmp_path / "again") == contents(data)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"drift \(0\.1\) has no effect without days"):
        SyntheticConfig(drift=0.1)
    with pytest.raises(ValidationError, match=r"examples \(999\) are fewer than 100 for each of 10 days"):
        SyntheticConfig(examples=999, days=10)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(InputError, match="exists already"):
        generate(FOUR, tmp_path / "full")


def test_an_empty_folder_is_filled_with_days(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    generate(SyntheticConfig(examples=200, days=2, users=20, items=20), tmp_path / "mount")
    assert {path.name for path in (tmp_path / "mount").iterdir()} == {"day=2026-01-01", "day=2026-01-02", "manifest.json"}


def test_empty_days_are_those_between() -> None:
    assert empty_days([date(2024, 2, 27), date(2024, 2, 28), date(2024, 3, 2)]) == [date(2024, 2, 29), date(2024, 3, 1)]
    assert empty_days([date(2024, 2, 27)]) == []
