"""Synthetic purchases and ads: rows against probabilities worked out by hand, oracles against scikit-learn, clicks that stay."""

import json
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from components.base.errors import DataError
from components.base.tfrecord import read_batches
from pipeline.cli.main import main
from pipeline.configuration.load_config import load_config
from pipeline.datasets.manifest import read_oracle_by_label
from pipeline.datasets.spans import find_spans
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_ads import Ads, ads_logit, brand_of, draw_prices, make_ads, usual_log_price
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_conversions import Conversions
from pipeline.datasets.synthetic_world import Requests, click_probability, make_world, simulate

SMALL = SyntheticConfig(examples=4_003, users=60, items=40, categories=8, history=4, seed=3)
BOTH = SMALL.model_copy(update={"ads": True, "conversions": True})

Row = dict[str, Any]


def read(folder: Path) -> list[Row]:
    rows = [row for path in sorted(folder.iterdir()) for batch in read_batches(path) for row in batch.to_pylist()]
    return [{n: (v or []) if n.startswith("historical_") else v[0] for n, v in row.items()} for row in rows]


def drawn(config: SyntheticConfig) -> list[Requests]:
    """All requests, with purchases."""
    rng = np.random.default_rng(config.seed)
    world, conversions = make_world(config, rng), Conversions(config)
    return [conversions.draw(world, chunk) for chunk in simulate(config, world, rng)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "both"
    generate(BOTH, out)
    return out


def test_without_purchases_the_rows_are_the_same(tmp_path: Path) -> None:
    plain, more = tmp_path / "plain", tmp_path / "more"
    first = generate(SMALL, plain)
    second = generate(SMALL.model_copy(update={"conversions": True}), more)
    for split in ("train", "validation", "eval"):
        rows = read(more / split)
        assert all(row.pop("purchase") <= row["label"] for row in rows)
        assert rows == read(plain / split)
    assert "oracle_by_label" not in first and "purchase" not in first["rules"]
    assert second["oracle"] == first["oracle"] == second["oracle_by_label"]["click"]


def test_the_oracle_of_a_purchase_is_that_of_the_click_times_the_conversion(both: Path) -> None:
    """Clicks and conversions are drawn anew from the seed; the metrics are scikit-learn's."""
    chunks = drawn(BOTH)
    column = {
        n: np.concatenate([getattr(c, n).ravel() for c in chunks]) for n in ("label", "probability", "purchase", "purchase_probability")
    }
    column = {name: values[3_605 : BOTH.examples] for name, values in column.items()}  # eval begins at page 721
    rows = read(both / "eval")
    assert [row["purchase"] for row in rows] == column["purchase"].tolist()
    oracle = json.loads((both / "manifest.json").read_text())["oracle_by_label"]
    for label, values, probability in (("click", "label", "probability"), ("purchase", "purchase", "purchase_probability")):
        assert oracle[label]["auc"] == pytest.approx(roc_auc_score(column[values], column[probability]))
        assert oracle[label]["log_loss"] == pytest.approx(log_loss(column[values], column[probability]))
    assert (column["purchase_probability"] < column["probability"]).all()
    assert read_oracle_by_label(both) == oracle


def test_the_probability_of_a_purchase_by_hand() -> None:
    """BIAS + thrift + VALUE · (vector · direction) + FIT · best − PRICE · (log price − log price of the category)."""
    world = make_world(BOTH, np.random.default_rng(0))
    eye = np.eye(40, 16, dtype=np.float32)
    world = world._replace(vector=eye, centre=np.zeros((8, 16)), ads=Ads(np.zeros(100), np.eye(16)[5]))
    conversions = Conversions(BOTH)
    conversions.thrift, conversions.direction = np.full(60, 0.3), np.eye(16)[1]
    zeros = np.zeros((1, 2))
    requests = Requests(
        number=np.array([0]), user=np.array([4]), timestamp=np.array([0]), item=np.array([[1, 2]]),
        event_item=np.array([[-1, -1, 2, 2]]), event_time=zeros, probability=np.array([[0.5, 0.25]]), label=zeros,
        price=np.exp([[3.4, 3.9]]).astype(np.float32), event_price=zeros,
    )  # fmt: skip
    logit = np.array([[-2.0 + 0.3 + 3.0, -2.0 + 0.3 + 2.0 - 0.8 * 0.5]])  # along the direction; clicked before, and dearer by 0.5
    after_click = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(conversions.probability(world, requests), after_click, rtol=1e-6)
    np.testing.assert_allclose(conversions.draw(world, requests).purchase_probability, after_click * [[0.5, 0.25]], rtol=1e-6)


def test_purchases_follow_their_probabilities_and_differ_from_clicks() -> None:
    chunks = drawn(SyntheticConfig(conversions=True))
    click, both, bought = (
        np.concatenate([getattr(c, n).ravel() for c in chunks]) for n in ("probability", "purchase_probability", "purchase")
    )
    bin_of = np.searchsorted(np.quantile(both, np.arange(1, 10) / 10), both)
    deviation = np.bincount(bin_of, bought - both) / np.sqrt(np.bincount(bin_of, both * (1 - both)))
    assert np.abs(deviation).max() < 4
    clicked = np.concatenate([c.label.ravel() for c in chunks]) == 1
    by_conversion, by_click = (roc_auc_score(bought[clicked], p[clicked]) for p in (both / click, click))
    assert by_conversion > by_click + 0.05 > 0.55  # what is clicked most is not what is bought most


def test_random_purchases_are_coin_flips_after_a_click(tmp_path: Path) -> None:
    manifest = generate(BOTH.model_copy(update={"labels": "random"}), tmp_path / "data")
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert manifest["oracle_by_label"]["purchase"] == {"auc": 0.5, "gauc": 0.5, "log_loss": pytest.approx(expected, abs=0.08)}


def test_the_terms_of_an_ad_by_hand() -> None:
    """quality − PRICE · (log price − (log price of the category + Σ relevance · log price of the event) / (1 + Σ relevance))."""
    ads = Ads(quality=np.arange(100) / 100, direction=np.eye(16)[0])
    centre = np.zeros((1, 2, 16))
    centre[0, 0, 0] = 0.2  # costs exp(3.4 + 3 · 0.2) = exp(4)
    relevance = np.array([[[0, 0.5, 1.0], [0, 0, 0]]])
    got = ads_logit(ads, np.array([[107, 20]]), centre, np.exp([[5.0, 3.0]]), relevance, np.array([[0.0, np.exp(2), np.exp(3)]]))
    usual = (4 + 0.5 * 2 + 1.0 * 3) / 2.5
    np.testing.assert_allclose(got, [[0.07 - 1.2 * (5 - usual), 0.20 - 1.2 * (3 - 3.4)]])


def test_prices_vary_around_what_the_item_usually_costs() -> None:
    rng = np.random.default_rng(0)
    ads = make_ads(16, rng)
    vector = np.repeat(rng.standard_normal((1, 16)) / 4, 20_000, axis=0)
    prices = draw_prices(ads, vector, rng)
    assert prices.dtype == np.float32 and np.allclose(prices, np.round(prices.astype(float), 2), atol=1e-4)
    log = np.log(prices)
    assert log.mean() == pytest.approx(usual_log_price(ads, vector)[0], abs=0.02) and log.std() == pytest.approx(0.4, abs=0.02)


def test_the_rows_of_ads_are_those_of_the_oracle(both: Path) -> None:
    """Prices of histories are replayed; the click probabilities are computed from the written rows."""
    clicked: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=BOTH.history))
    every = [row for split in ("train", "validation", "eval") for row in read(both / split)]
    for page in (every[i : i + PAGE] for i in range(0, len(every), PAGE)):
        for row in page:
            assert row["historical_prices"] == list(clicked[row["user_id"]])
            assert row["candidate_brand"] == row["candidate_item_id"] % 100 and row["candidate_price"] > 0
        clicked[page[0]["user_id"]].extend(row["candidate_price"] for row in page if row["label"])
    world, rows = make_world(BOTH, np.random.default_rng(BOTH.seed)), read(both / "eval")
    user, item, label, price = (np.array([r[n] for r in rows]) for n in ("user_id", "candidate_item_id", "label", "candidate_price"))
    padded = [[-1] * (BOTH.history - len(r["historical_item_ids"])) + r["historical_item_ids"] for r in rows]
    prices = [[0.0] * (BOTH.history - len(r["historical_prices"])) + r["historical_prices"] for r in rows]
    probability = click_probability(world, user, item[:, None], np.array(padded), price[:, None], np.array(prices))[:, 0]
    oracle = json.loads((both / "manifest.json").read_text())["oracle"]
    assert oracle["auc"] == pytest.approx(roc_auc_score(label, probability))
    assert oracle["log_loss"] == pytest.approx(log_loss(label, probability), rel=1e-5)


def test_price_and_brand_raise_the_best_possible_auc() -> None:
    """Without them, the best that is left is about the probability at the usual price and the average brand."""
    config = load_config("ads").synthetic.model_copy(update={"examples": 50_000})
    rng = np.random.default_rng(0)
    world = make_world(config, rng)
    assert world.ads is not None
    blind = world._replace(ads=None)
    label, full, without = [], [], []
    for chunk in simulate(config, world, rng):
        label.append(chunk.label.ravel())
        full.append(chunk.probability.ravel())
        without.append(click_probability(blind, chunk.user, chunk.item, chunk.event_item).ravel())
    with_both, with_none = (roc_auc_score(np.concatenate(label), np.concatenate(p)) for p in (full, without))
    assert with_both > with_none + 0.02


def test_days_have_both_oracles(tmp_path: Path) -> None:
    config = BOTH.model_copy(update={"days": 3, "drift": 0.2})
    manifest = generate(config, tmp_path / "days")
    for span in find_spans(tmp_path / "days"):
        rows = [row for path in span.shards() for batch in read_batches(path) for row in batch.to_pylist()]
        assert all(row["candidate_brand"][0] == brand_of(row["candidate_item_id"][0]) for row in rows)
        oracle = read_oracle_by_label(tmp_path / "days" / f"day={span.name}")
        assert oracle is not None and oracle["click"] == manifest["oracle_by_day"][span.name]
        assert 0.5 < oracle["purchase"]["auc"] < 1  # type: ignore[operator]


def test_the_command_prints_the_oracle_of_each_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--examples", "1000", "--users", "30", "--items", "40"]
    assert main(["synth", "--conversions", "--ads", *sizes, "--out", str(tmp_path / "data")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["oracle of click on eval", "oracle of purchase on eval"]
    row = json.loads((tmp_path / "data" / "sample.jsonl").read_text().splitlines()[0])
    assert {"purchase", "candidate_price", "candidate_brand", "historical_prices"} <= row.keys()


def test_a_wrong_oracle_of_a_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"oracle_by_label": {"purchase": {"auc": 2}}}')
    with pytest.raises(DataError, match=r"oracle_by_label\.purchase\.auc"):
        read_oracle_by_label(tmp_path)
    assert read_oracle_by_label(tmp_path / "none") is None
