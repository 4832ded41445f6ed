"""`din bench train`: its data, and how it asks its workers, with fake ones."""

import numpy as np
import pytest
from rich.console import Console

from benchmarks.speed import rounds
from benchmarks.speed.training_speed import CLUSTERS, Measurement, make_data, measure_rates


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
    best = measure_rates(workers, [Measurement("train", 256, 7)], Console(quiet=True))
    assert best == {"a": {"train_256": 9}, "b": {"train_256": 30}}
