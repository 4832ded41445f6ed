"""Synthetic data: its rows are replayed, the oracle is compared with scikit-learn, and the labels with their probabilities."""

import json
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from components.base.errors import InputError
from components.base.tfrecord import read_batches
from pipeline.configuration.load_config import load_config
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_rows import oracle_metrics
from pipeline.datasets.synthetic_world import click_probability, make_world, simulate

SPLITS = ("train", "validation", "eval")
SMALL = SyntheticConfig(examples=4_003, users=60, items=40, categories=8, history=4, seed=3)  # 4,003: the last page is cut

Row = dict[str, Any]


def read(data: Path, split: str) -> list[Row]:
    rows = [row for path in sorted((data / split).iterdir()) for batch in read_batches(path) for row in batch.to_pylist()]
    return [{n: (v or []) if n.startswith("historical_") else v[0] for n, v in row.items()} for row in rows]


def contents(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "data"
    generate(SMALL, out, command="din synth")
    return out


@pytest.fixture(scope="module")
def rows(data: Path) -> dict[str, list[Row]]:
    return {split: read(data, split) for split in SPLITS}


@pytest.fixture(scope="module")
def every_row(rows: dict[str, list[Row]]) -> list[Row]:
    return [row for split in SPLITS for row in rows[split]]


def test_same_seed_same_bytes(data: Path, tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "again", command="din synth")
    generate(SMALL.model_copy(update={"seed": 4}), tmp_path / "other", command="din synth")
    assert contents(tmp_path / "again") == contents(data)
    assert contents(tmp_path / "other")["train/part-00000.tfrecord.gz"] != contents(data)["train/part-00000.tfrecord.gz"]


def test_histories_are_the_clicks_of_earlier_requests(every_row: list[Row]) -> None:
    clicks: dict[int, deque[tuple[int, int, int]]] = defaultdict(lambda: deque(maxlen=SMALL.history))
    pages = [every_row[i : i + PAGE] for i in range(0, len(every_row), PAGE)]
    lengths = set()
    for page in pages:
        (user,) = {row["user_id"] for row in page}
        for row in page:
            history = list(zip(row["historical_item_ids"], row["historical_category_ids"], row["historical_timestamps"], strict=True))
            assert history == list(clicks[user])
            assert all(time < row["timestamp"] for *_, time in history)
            lengths.add(len(history))
        clicks[user].extend((r["candidate_item_id"], r["candidate_category_id"], r["timestamp"]) for r in page if r["label"])
    assert lengths == set(range(SMALL.history + 1))


def test_rows_are_complete(every_row: list[Row]) -> None:
    assert len(every_row) == SMALL.examples
    assert {row["label"] for row in every_row} == {0, 1}
    assert {row["user_id"] for row in every_row} == set(range(SMALL.users))
    assert {row["candidate_item_id"] for row in every_row} == set(range(SMALL.items))
    category_of = {row["candidate_item_id"]: row["candidate_category_id"] for row in every_row}
    assert all(category_of[row["candidate_item_id"]] == row["candidate_category_id"] for row in every_row)
    assert set(category_of.values()) == set(range(8))


def test_pages_show_an_item_once(every_row: list[Row]) -> None:
    shown = [(row["request_id"], row["candidate_item_id"]) for row in every_row]
    assert len(set(shown)) == len(shown)


def test_split_is_in_time_at_request_boundaries(rows: dict[str, list[Row]], every_row: list[Row]) -> None:
    assert {split: len(r) for split, r in rows.items()} == {"train": 3_205, "validation": 400, "eval": 398}
    requests = [row["request_id"] for row in every_row]
    assert requests == sorted(requests)
    assert not {r["request_id"] for r in rows["train"]} & {r["request_id"] for r in rows["validation"]}
    assert not {r["request_id"] for r in rows["validation"]} & {r["request_id"] for r in rows["eval"]}
    times = [row["timestamp"] for row in every_row]
    assert times == sorted(times)


def test_manifest(data: Path, rows: dict[str, list[Row]]) -> None:
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["source"] == "synthetic"
    assert manifest["command"] == "din synth"
    assert manifest["seed"] == SMALL.seed
    assert manifest["config"] == SMALL.model_dump()
    assert manifest["examples"] == {split: len(r) for split, r in rows.items()}
    assert manifest["base_rate"] == {split: pytest.approx(np.mean([row["label"] for row in r])) for split, r in rows.items()}
    ranges = {split: {"first": r[0]["timestamp"], "last": r[-1]["timestamp"]} for split, r in rows.items()}
    assert manifest["split_time_ranges"] == ranges
    assert manifest["time_range"] == {"first": ranges["train"]["first"], "last": ranges["eval"]["last"]}
    assert "most recent 4" in manifest["rules"]["history"]


def test_oracle_is_that_of_the_written_rows(data: Path, rows: dict[str, list[Row]]) -> None:
    world = make_world(SMALL, np.random.default_rng(SMALL.seed))
    user, item, label = (np.array([row[name] for row in rows["eval"]]) for name in ("user_id", "candidate_item_id", "label"))
    history = np.array([[-1] * (SMALL.history - len(r["historical_item_ids"])) + r["historical_item_ids"] for r in rows["eval"]])
    probability = click_probability(world, user, item[:, None], history)[:, 0]
    expected = {
        "auc": roc_auc_score(label, probability),
        "gauc": sklearn_gauc(user, probability, label),
        "log_loss": log_loss(label, probability),
    }
    assert json.loads((data / "manifest.json").read_text())["oracle"] == pytest.approx(expected, rel=1e-6)


def sklearn_gauc(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> float:
    groups = [user == u for u in np.unique(user) if 0 < label[user == u].mean() < 1]
    return float(np.average([roc_auc_score(label[g], score[g]) for g in groups], weights=[g.sum() for g in groups]))


def test_oracle_metrics_equal_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    user, label = rng.integers(40, size=600), rng.integers(2, size=600)
    label[user < 5] = 1  # of one class: skipped
    score = rng.integers(1, 10, size=600) / 10
    expected = {"auc": roc_auc_score(label, score), "gauc": sklearn_gauc(user, score, label), "log_loss": log_loss(label, score)}
    assert oracle_metrics(user, score, label) == pytest.approx(expected, rel=1e-12)


def test_oracle_metrics_of_one_class_are_undefined() -> None:
    metrics = oracle_metrics(np.array([0, 1]), np.array([0.5, 0.25]), np.array([0, 0]))
    assert metrics == {"auc": None, "gauc": None, "log_loss": pytest.approx(-np.log(0.5 * 0.75) / 2)}


def test_labels_follow_the_probabilities() -> None:
    rng = np.random.default_rng(7)
    chunks = list(simulate(SyntheticConfig(), make_world(SyntheticConfig(), rng), rng))
    probability, label = (np.concatenate([getattr(c, name).ravel() for c in chunks]) for name in ("probability", "label"))
    bin_of = np.searchsorted(np.quantile(probability, np.arange(1, 10) / 10), probability)
    deviation = np.bincount(bin_of, label - probability) / np.sqrt(np.bincount(bin_of, probability * (1 - probability)))
    assert np.abs(deviation).max() < 4  # standard deviations, of ten
    assert np.square(deviation).sum() < 35  # chi-squared of ten: 1 in 10,000


def test_probability_by_hand() -> None:
    rng = np.random.default_rng(0)
    world = make_world(SMALL, rng)._replace(vector=np.eye(40, 16, dtype=np.float32), taste=np.full(60, 0.2), appeal=np.full(40, -0.1))
    history = np.array([[-1, -1, -1, -1], [-1, 2, 1, 1], [1, 1, 2, 2]])
    got = click_probability(world, np.array([0, 1, 2]), np.array([[1], [1], [3]]), history)
    logit = np.array([[-2.1], [-2.1 + 2.5 * np.log(1 + 2)], [-2.1]])  # no history; itself twice; nothing relevant
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-logit)), rtol=1e-6)


def test_interests_show_in_the_probabilities_and_turn_over() -> None:
    rng = np.random.default_rng(0)
    config = SyntheticConfig()
    world = make_world(config, rng)
    last = list(simulate(config, world, rng))[-1]
    same = world.category[last.item][:, :, None] == world.category[last.event_item][:, None]
    matched = (same & (last.event_item >= 0)[:, None]).any(-1)
    assert 0.1 < matched.mean() < 0.6  # history matters for some candidates of a page, not for all
    assert last.probability[matched].mean() > 2 * last.probability[~matched].mean()


def test_random_labels_are_coin_flips(tmp_path: Path) -> None:
    manifest = generate(SMALL.model_copy(update={"labels": "random"}), tmp_path / "data")
    assert manifest["base_rate"]["train"] == pytest.approx(0.5, abs=0.04)
    assert manifest["oracle"] == {"auc": 0.5, "gauc": 0.5, "log_loss": pytest.approx(np.log(2))}
    assert any(row["historical_item_ids"] for row in read(tmp_path / "data", "eval"))


def test_item_features(tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "data", item_features=tmp_path / "items.npz")
    with np.load(tmp_path / "items.npz") as file:
        ids, vectors = file["ids"], file["vectors"]
    assert ids.dtype == np.int64 and ids.tolist() == list(range(40))
    assert vectors.dtype == np.float32 and vectors.shape == (40, 16)
    np.testing.assert_array_equal(vectors, make_world(SMALL, np.random.default_rng(SMALL.seed)).vector)


def test_item_features_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"items.npz cannot be written .*--item-features"):
        generate(SMALL, tmp_path / "data", item_features=tmp_path / "missing" / "items.npz")
    assert list(tmp_path.iterdir()) == []


def test_presets() -> None:
    notebook, demo = (load_config(name).synthetic for name in ("notebook", "demo"))
    assert (notebook.examples, notebook.users, notebook.items, notebook.history) == (50_000, 1_000, 500, 10)
    assert 100_000 <= demo.examples <= 250_000


def test_fewer_items_than_default_categories() -> None:
    assert SyntheticConfig(items=20).category_count == 20


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"categories": 9, "items": 8}, r"categories \(9\) must not outnumber items \(8\)"),
        ({"items": 4}, "greater than or equal to 5"),
        ({"history": 0}, "greater than or equal to 1"),
        ({"labels": "coin"}, "'interest' or 'random'"),
        ({"user": 5}, "Extra inputs are not permitted"),
    ],
)
def test_bad_config_is_one_clear_error(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        SyntheticConfig(**bad)
    assert error.value.error_count() == 1
