"""`din bench train`: its arithmetic, its data, and what it does with its workers, by fake ones."""

import sys

import numpy as np
import pytest
from rich.console import Console

from benchmarks.peers.workers.op_times import _kind
from benchmarks.speed import training_speed as train
from components.base.errors import InputError


def test_operations_of_the_matrix_products_by_hand():
    # attention: 2·16·80 + 80·40 + 40 = 5,800 an event, 16·80 = 1,280 an impression
    # MLP: 48·128 + 128·64 + 64·32 + 32 = 16,416 an impression
    assert train.flops_of_products(0) == 6 * (1_280 + 16_416)
    assert train.flops_of_products(5.5) == 6 * (5.5 * 5_800 + 1_280 + 16_416)


def test_the_data_is_padded_on_the_right_and_can_be_learnt(tmp_path):
    arrays = train.make_data(users=30, items=20, history=4, file=tmp_path / "d.npz")
    events, lengths = arrays["historical_item_ids"], arrays["history_length"]
    np.testing.assert_array_equal(events > 0, np.arange(4) < lengths[:, None])
    assert set(lengths) == {1, 2, 3, 4} and arrays["candidate_item_id"].min() == 1 and arrays["candidate_item_id"].max() == 20
    relevant = (events % train.CLUSTERS == (arrays["candidate_item_id"] % train.CLUSTERS)[:, None]) & (events > 0)
    some, none = (arrays["label"][relevant.any(axis=1) == here].mean() for here in (True, False))
    assert some > 0.8 and none == pytest.approx(1 / (1 + np.exp(1.5)), abs=0.02)


class FakeWorker:
    def __init__(self, rates):
        self._rates = iter(rates)

    def ask(self, **command):
        assert command == {"do": "train", "batch": 256, "rows": 7}
        return {"rows_per_s": next(self._rates)}


def test_the_best_of_the_rounds_counts(monkeypatch):
    monkeypatch.setattr(train, "ROUNDS", 3)
    workers = {"a": FakeWorker([1, 9, 2]), "b": FakeWorker([30, 10, 20])}
    best = train.alternate(workers, [train.Measurement("train", 256, 7)], Console(quiet=True))
    assert best == {"a": {"train_256": 9}, "b": {"train_256": 30}}


def test_a_worker_that_ends_is_named_with_its_last_words():
    with pytest.raises(InputError, match="DeepCTR ended: out of luck"):
        train.Worker("DeepCTR", [sys.executable, "-c", "import sys; sys.exit('out of luck')"])


def test_kinds_of_ops():
    names = {"_MklNativeFusedMatMul": "matrix products", "_MklMatMul": "matrix products", "MatMul": "matrix products"}
    names |= {"Mul": "elementwise", "UnsortedSegmentSum": "sums", "ResourceGather": "lookups and copies", "NoOp": "other"}
    assert {name: _kind(name) for name in names} == names
