"""`din bench train`: its data, and how it asks its workers, with fake ones."""

import numpy as np
import pytest
from rich.console import Console

from benchmarks.peers.worker_process import WORKERS
from benchmarks.speed import rounds
from benchmarks.speed.training_speed import (
    CLUSTERS,
    KERAS_LARGE,
    LARGE,
    LONG,
    OURS,
    OURS_TFRECORDS,
    PEERS,
    SHORT,
    SMALL,
    Measurement,
    best,
    make_data,
    measure_rates,
    ratios,
)


def test_the_data_is_padded_on_the_right_and_can_be_learned(tmp_path):
    arrays = make_data(users=30, items=20, history=4, file=tmp_path / "d.npz")
    events, lengths = arrays["historical_item_ids"], arrays["history_length"]
    np.testing.assert_array_equal(events > 0, np.arange(4) < lengths[:, None])
    assert set(lengths) == {1, 2, 3, 4} and arrays["candidate_item_id"].min() == 1 and arrays["candidate_item_id"].max() == 20
    relevant = (events % CLUSTERS == (arrays["candidate_item_id"] % CLUSTERS)[:, None]) & (events > 0)
    some, none = (arrays["label"][relevant.any(axis=1) == here].mean() for here in (True, False))
    assert some > 0.8 and none == pytest.approx(1 / (1 + np.exp(1.5)), abs=0.02)


class FakeWorker:
    def __init__(self, rates):
        self._rates = iter(rates)

    def ask(self, **command):
        assert command == {"do": "train", "batch": 256, "rows": 7}
        return {"rows_per_s": next(self._rates)}


def test_the_best_of_the_rounds_counts(monkeypatch):
    monkeypatch.setattr(rounds, "ROUNDS", 3)
    workers = {"a": FakeWorker([1, 9, 2]), "b": FakeWorker([30, 10, 20])}
    rates = measure_rates(workers, [Measurement("train", 256, 7)], Console(quiet=True))
    assert rates == {"a": {"train_256": [1, 9, 2]}, "b": {"train_256": [30, 10, 20]}}
    assert best(rates) == {"a": {"train_256": 9}, "b": {"train_256": 30}}


def test_every_peer_has_a_worker():
    assert all((WORKERS / script).is_file() for script in PEERS.values())


def test_ratios_are_to_the_fastest_peer_and_to_few_ids():
    """Peer k makes 10 · k rows a second in each of two rounds, the last one is the fastest; ours makes twice and three times as many."""
    fast = 10 * len(PEERS)

    def rates(first, second):
        return {name: [first, second] for name in ("train_256", "train_1024", "infer_1024")}

    notebook = {peer: rates(10 * k, 10 * k) for k, peer in enumerate(PEERS, 1)}
    notebook |= {OURS: rates(2 * fast, 3 * fast), OURS_TFRECORDS: rates(fast, fast)}
    vocabulary = {SMALL: rates(8, 10), LARGE: rates(6, 9), KERAS_LARGE: rates(1, 3)}
    history = {SHORT: rates(70, 60), LONG: rates(10, 10)}
    found = ratios(notebook, vocabulary, history)
    assert found["train_256"] == found["infer_1024"] == (2.5, 2, 3) and found["tfrecords_train_1024"] == (1, 1, 1)
    assert found["train_1024_1e6_ids_vs_1e3"] == pytest.approx((0.825, 0.75, 0.9))
    assert found["train_256_1e6_ids_vs_keras_peer"] == (4.5, 3, 6) and found["step_time_100_events_vs_10"] == (6.5, 6, 7)
