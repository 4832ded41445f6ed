"""A table of five rows that two workers share, against numbers worked out by hand and against one whole table.

The two workers are threads of this process, each with its own end of a real connection.
"""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.exchange.collectives import Workers
from din_trainer.exchange.mesh import Mesh
from din_trainer.layers import split_table
from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.layers.split_table import SplitTable, table_class
from din_trainer.training.lazy_adam import LazyAdam

VALUES = np.array([[0, 0], [1, 10], [2, 20], [3, 30], [4, 40]], np.float32)


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Runs a function of (workers, number of the worker) in two workers, and returns both results."""
    own = threading.local()
    monkeypatch.setattr(split_table, "current", lambda: getattr(own, "workers", None))
    addresses = [str(tmp_path / "0"), str(tmp_path / "1")]

    def run(do):
        results, errors = [None, None], []

        def work(index):
            mesh = Mesh(index, addresses, b"key", patience=20)
            own.workers = Workers(mesh)
            try:
                results[index] = do(own.workers)
            except Exception as error:
                errors.append(error)
            finally:
                mesh.close()

        threads = [threading.Thread(target=work, args=[index]) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if errors:
            raise errors[0]
        return results

    return run


def make(**settings):
    """The part of a worker of the table with `VALUES`."""
    table = SplitTable(5, 2, **settings)
    table.build()
    table.set_rows(np.arange(5), VALUES)
    return table


def test_each_worker_keeps_every_other_row(both):
    first, second = both(lambda workers: make().embeddings.numpy())
    np.testing.assert_array_equal(first, [[0, 0], [2, 20], [4, 40]])
    np.testing.assert_array_equal(second, [[1, 10], [3, 30]])


@pytest.mark.parametrize("training", [True, False])
def test_a_worker_gets_the_rows_of_the_other_one(both, training):
    asked = [[[3, 0, 3], [4]], [[1, 3, 2], [3]]]  # by worker: two tensors of ids
    first, second = both(lambda workers: [x.numpy() for x in make()([tf.constant(ids) for ids in asked[workers.index]], training=training)])
    for looked_up, tensors in ((first, asked[0]), (second, asked[1])):
        for x, ids in zip(looked_up, tensors, strict=True):
            np.testing.assert_array_equal(x, VALUES[ids])


def test_a_worker_without_rows_in_the_batch_answers_the_other_one(both):
    first, second = both(lambda workers: make()([tf.constant([4, 1] if workers.index else [], tf.int64)])[0].numpy())
    assert first.shape == (0, 2)
    np.testing.assert_array_equal(second, [[4, 40], [1, 10]])


def test_gradients_go_to_the_owners_and_are_added(both):
    """The loss of worker w is (w + 1) · Σ of its embeddings. Worker 0 reads row 3 twice and row 0 once, worker 1 reads rows 3 and 2."""
    asked = [[3, 0, 3], [3, 2]]

    def gradient(workers):
        table = make()
        with tf.GradientTape() as tape:
            (x,) = table([tf.constant(asked[workers.index])], training=True)
            loss = (workers.index + 1) * tf.reduce_sum(x)
        slices = tape.gradient(loss, table.embeddings.value)
        return dict(zip(slices.indices.numpy().tolist(), slices.values.numpy().tolist(), strict=True))

    first, second = both(gradient)
    assert first == {0: [1, 1], 1: [2, 2]}  # rows 0 and 2; row 4 was not read
    assert second == {1: [4, 4]}  # row 3: 1 + 1 of worker 0, and 2 of worker 1; row 1 was not read


def test_a_row_is_penalised_once_by_its_owner(both):
    """½ · λ · ‖w‖² / n with λ = 2 and n = id + 1: row 3 of both workers counts once, 909 / 4, row 2 404 / 3, row 0 nothing."""
    asked = [[3, 0, 3], [3, 2]]

    def penalty(workers):
        table = make(regularization=2.0)
        table.set_counts(np.arange(1, 6))
        table([tf.constant(asked[workers.index])], training=True)
        return float(table.losses[0])

    assert both(penalty) == pytest.approx([404 / 3, 909 / 4])


def test_updates_are_those_of_a_whole_table(both):
    """Three steps of LazyAdam on batches that both workers share. Each worker changes its own rows only, and a row without data stays."""
    batches = [[[3, 0], [3, 1]], [[1, 1], [0, 3]], [[0, 3], [3, 3]]]
    factors = np.random.default_rng(0).normal(size=(3, 2, 2, 2)).astype(np.float32)  # step, worker, row, column

    whole, optimizer = EmbeddingTable(5, 2), LazyAdam(0.1)
    whole.build()
    whole.set_rows(np.arange(5), VALUES)
    optimizer.build([whole.embeddings])
    for ids, factor in zip(batches, factors, strict=True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(whole([tf.constant(ids)], training=True)[0] * factor)
        optimizer.apply([tape.gradient(loss, whole.embeddings.value)], [whole.embeddings])

    def train(workers):
        table, optimizer = make(), LazyAdam(0.1)
        optimizer.build([table.embeddings])
        for ids, factor in zip(batches, factors, strict=True):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(table([tf.constant(ids[workers.index])], training=True)[0] * factor[workers.index])
            optimizer.apply([tape.gradient(loss, table.embeddings.value)], [table.embeddings])
        return table.embeddings.numpy()

    first, second = both(train)
    expected = whole.embeddings.numpy()
    np.testing.assert_allclose(first, expected[0::2], rtol=1e-6)
    np.testing.assert_allclose(second, expected[1::2], rtol=1e-6)
    np.testing.assert_array_equal(first[1:], VALUES[[2, 4]])


def test_rows_start_as_those_of_a_whole_table(both, monkeypatch):
    """Drawn in blocks of 8 rows."""
    monkeypatch.setattr(split_table, "_BLOCK", 8)
    monkeypatch.setattr(keras.initializers.RandomUniform, "__init__", _with_seed_7(keras.initializers.RandomUniform.__init__))
    whole = EmbeddingTable(21, 3, scale=0.2)
    whole.build()

    def start(workers):
        table = SplitTable(21, 3, scale=0.2)
        table.build()
        return table.embeddings.numpy()

    first, second = both(start)
    np.testing.assert_array_equal(first, whole.embeddings.numpy()[0::2])
    np.testing.assert_array_equal(second, whole.embeddings.numpy()[1::2])


def _with_seed_7(init):
    return lambda self, minval=-0.05, maxval=0.05, seed=None: init(self, minval, maxval, 7)


def test_only_large_tables_of_several_workers_are_split(both):
    assert table_class(100, None) is EmbeddingTable
    assert (
        both(lambda workers: [table_class(99, 100), table_class(100, 100), table_class(100, None)])
        == [[EmbeddingTable, SplitTable, EmbeddingTable]] * 2
    )
