"""Embedding tables: look-up, the rows of the gradient, and mini-batch aware regularisation against the full sum."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.embedding_table import EmbeddingTable


def make_table(size=6, dim=2, regularization=0.0):
    table = EmbeddingTable(size, dim, regularization)
    table.build()
    table.embeddings.assign(np.arange(size * dim, dtype=np.float32).reshape(size, dim))
    return table


@pytest.mark.parametrize("training", [False, True])
def test_looks_up_ids_of_any_shape(training):
    a, b = make_table()([np.array([5, 0, 5]), np.array([[1], [2]])], training=training)
    np.testing.assert_array_equal(a, [[10, 11], [0, 1], [10, 11]])
    np.testing.assert_array_equal(b, [[[2, 3]], [[4, 5]]])


def test_the_gradient_holds_each_row_that_occurs_once():
    table = make_table()
    with tf.GradientTape() as tape:
        a, b = table([np.array([5, 1, 5]), np.array([1])], training=True)
        loss = tf.reduce_sum(a * [[1.0], [10.0], [100.0]]) + tf.reduce_sum(b * 1000.0)
    gradient = tape.gradient(loss, table.embeddings.value)
    assert isinstance(gradient, tf.IndexedSlices)
    rows = dict(zip(gradient.indices.numpy().tolist(), gradient.values.numpy().tolist(), strict=True))
    assert rows == {5: [101.0, 101.0], 1: [1010.0, 1010.0]}


LAMBDA = 0.25


def penalty(table, batch):
    with tf.GradientTape() as tape:
        table([batch], training=True)
        loss = tf.add_n(table.losses)
    return float(loss), tf.convert_to_tensor(tape.gradient(loss, table.embeddings.value)).numpy()


def test_regularisation_is_equation_7_on_the_rows_of_the_batch():
    table = make_table(regularization=LAMBDA)
    counts = np.array([0, 4, 2, 8, 1, 0], np.float32)  # padding and the out-of-vocabulary bucket have none
    table.counts.assign(counts)
    batch = np.array([1, 3, 1, 5, 0])
    w = table.embeddings.numpy()
    loss, gradient = penalty(table, batch)
    expected = np.zeros_like(w)
    for row in (1, 3):
        expected[row] = LAMBDA / counts[row] * w[row]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    assert loss == pytest.approx(0.5 * LAMBDA * sum((w[row] ** 2).sum() / counts[row] for row in (1, 3)))


def test_over_batches_of_one_impression_it_adds_up_to_the_full_sum():
    """Equation 5: if each occurrence is a batch, the sum over the batches is λ‖W‖² (halved here) over the ids that occur."""
    impressions = [np.array([1]), np.array([2]), np.array([1]), np.array([3]), np.array([1]), np.array([2])]
    table = make_table(regularization=LAMBDA)
    table.counts.assign(np.bincount(np.concatenate(impressions), minlength=6))
    w = table.embeddings.numpy()
    total = sum(penalty(table, impression)[0] for impression in impressions)
    assert total == pytest.approx(0.5 * LAMBDA * (w[[1, 2, 3]] ** 2).sum(), rel=1e-6)


def test_a_row_counts_once_however_often_the_batch_holds_it():
    """Equation 6 replaces the number of occurrences in a batch by α_mj, 0 or 1."""
    table = make_table(regularization=LAMBDA)
    table.counts.assign(np.full(6, 3.0))
    assert penalty(table, np.array([4, 4, 4]))[0] == penalty(table, np.array([4]))[0]


def test_nothing_is_added_at_inference():
    table = make_table(regularization=LAMBDA)
    table([np.array([1])])
    assert not table.losses


def test_config_round_trip():
    table = EmbeddingTable.from_config(EmbeddingTable(7, 3, 0.5, name="t").get_config())
    assert (table.size, table.dim, table.regularization, table.name) == (7, 3, 0.5, "t")
    with pytest.raises(ValueError, match="must not be negative"):
        EmbeddingTable(7, 3, -1.0)


def test_one_tensor_is_not_taken_for_a_list_of_rows():
    with pytest.raises(ValueError, match="takes a list of tensors of ids, and returns a list; received one"):
        EmbeddingTable(5, 2)(np.array([1, 2, 3]))
