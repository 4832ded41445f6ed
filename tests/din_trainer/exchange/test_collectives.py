"""Sums, rows and values of several workers, with numbers that are worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.exchange import collectives
from tests.din_trainer.exchange.in_threads import by_workers


def test_rows_of_all_workers_follow_each_other_also_if_one_has_none(tmp_path):
    """Worker k has k rows of each tensor."""

    def work(workers):
        k = workers.index
        numbers, ids = workers.concatenate([tf.fill([k, 2], float(k)), tf.fill([k], tf.constant(10 + k, tf.int64))])
        return numbers.numpy().tolist(), ids.numpy().tolist()

    expected = [[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]], [11, 12, 12]
    assert by_workers(tmp_path, 3, work) == [expected] * 3


def test_sums_are_the_same_bits_on_all_workers(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    sums = by_workers(tmp_path, 3, lambda workers: workers.sum(values[workers.index]).numpy())
    np.testing.assert_array_equal(sums[0], sums[1])
    np.testing.assert_array_equal(sums[0], sums[2])
    np.testing.assert_allclose(sums[0], values.astype(np.float64).sum(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [64, 2**20], ids=["in blocks of rows", "at once"])
def test_all_workers_get_the_variables_of_the_first(tmp_path, monkeypatch, block):
    monkeypatch.setattr(collectives, "_BLOCK", block)

    def work(workers):
        variables = [tf.Variable(tf.fill([21, 3], float(workers.index))), tf.Variable(workers.index + 7)]
        if workers.index == 0:
            variables[0].assign(tf.reshape(tf.range(63.0), [21, 3]))
        for variable in variables:
            workers.from_first(variable)
        return [variable.numpy().tolist() for variable in variables]

    assert by_workers(tmp_path, 2, work) == [[np.arange(63.0).reshape(21, 3).tolist(), 7]] * 2


def test_figures_of_the_first_worker_may_be_not_a_number(tmp_path):
    mine = [{"val_auc": 0.75, "val_loss": float("nan")}, {"val_auc": 0.0, "val_loss": 0.0}]
    for figures in by_workers(tmp_path, 2, lambda workers: workers.figures_of_first(mine[workers.index])):
        assert figures["val_auc"] == 0.75 and np.isnan(figures["val_loss"])
