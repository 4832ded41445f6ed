"""LazyAdam against Adam computed in NumPy, and against the Adam of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.embedding_table import EmbeddingTable
from din_trainer.training.lazy_adam import LazyAdam


def variable(values):
    return keras.Variable(values, dtype="float32")


def slices(values, rows, size=4):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([size, len(values[0])]))


def test_dense_gradients_get_the_textbook_s_update():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    ours, theirs = variable(start), variable(start)
    lazy, adam = LazyAdam(0.1, beta_1=0.8), keras.optimizers.Adam(0.1, beta_1=0.8)
    for gradient in gradients:
        lazy.apply([tf.constant(gradient, tf.float32)], [ours])
        adam.apply([tf.constant(gradient, tf.float32)], [theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_rows_move_only_in_the_steps_in_which_they_occur():
    """Two rows, three steps: moments decay with a row's own steps, the bias correction counts all of them."""
    table = variable(np.zeros((4, 1)))
    optimizer = LazyAdam(0.1)
    steps = [([[1.0]], [1]), ([[2.0]], [2]), ([[3.0]], [1])]
    for values, rows in steps:
        optimizer.apply([slices(values, rows)], [table])
    m, v, w = np.zeros(4), np.zeros(4), np.zeros(4)
    for step, (values, (row,)) in enumerate(steps, 1):
        g = values[0][0]
        m[row], v[row] = 0.9 * m[row] + 0.1 * g, 0.999 * v[row] + 0.001 * g**2
        w[row] -= 0.1 * (m[row] / (1 - 0.9**step)) / np.sqrt(v[row] / (1 - 0.999**step))
    np.testing.assert_allclose(table.numpy()[:, 0], w, rtol=1e-4)
    assert w[1] != 0 and w[2] != 0 and w[0] == w[3] == 0


def test_it_is_adam_where_every_row_occurs_in_every_step():
    rng = np.random.default_rng(1)
    start = rng.normal(size=(4, 3))
    ours, theirs = variable(start), variable(start)
    lazy, adam = LazyAdam(0.05), keras.optimizers.Adam(0.05)
    for gradient in rng.normal(size=(6, 4, 3)):
        order = rng.permutation(4)
        lazy.apply([slices(gradient[order], order)], [ours])
        adam.apply([tf.constant(gradient, tf.float32)], [theirs])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_parts_of_a_row_s_gradient_are_added_up():
    parts, whole = variable(np.zeros((4, 2))), variable(np.zeros((4, 2)))
    LazyAdam(0.1).apply([slices([[1.0, 0.0], [5.0, 5.0], [2.0, -1.0]], [2, 0, 2])], [parts])
    LazyAdam(0.1).apply([slices([[3.0, -1.0], [5.0, 5.0]], [2, 0])], [whole])
    np.testing.assert_array_equal(parts, whole)


def test_rows_that_a_table_has_read_once_are_not_sorted_out_again():
    """The step looks for equal ids once, in the table; and it gives what a gradient with repeated rows gives."""
    tables = [EmbeddingTable(5, 2), EmbeddingTable(5, 2)]
    for table in tables:
        table.build()
        table.embeddings.assign(np.arange(10.0).reshape(5, 2))
    once, repeated = tables
    optimizers = [LazyAdam(0.1), LazyAdam(0.1)]
    ids, weights = tf.constant([3, 1, 3, 4]), tf.constant([[1.0], [2.0], [5.0], [-1.0]])
    for table, optimizer in zip(tables, optimizers, strict=True):
        optimizer.build([table.embeddings])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights * once([ids], training=True)[0] ** 2)
        optimizers[0].apply(tape.gradient(loss, [once.embeddings.value]), [once.embeddings])

    step()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights * repeated([ids])[0] ** 2)
    optimizers[1].apply(tape.gradient(loss, [repeated.embeddings.value]), [repeated.embeddings])
    np.testing.assert_allclose(once.embeddings, repeated.embeddings, rtol=1e-6)
    operations = [op.type for op in step.get_concrete_function().graph.get_operations()]
    assert operations.count("Unique") == 1


def test_clipping_goes_by_the_norm_of_all_gradients():
    """A row of (3, 4) in two parts beside a dense gradient of 12: the norm is 13, so with a bound of 6.5 all are halved."""
    seen = {}

    class Spy(LazyAdam):
        def update_step(self, gradient, variable, learning_rate):
            seen[variable.shape.rank] = gradient

    table, bias = variable(np.zeros((4, 2))), variable(np.zeros(1))
    Spy(0.1, global_clipnorm=6.5).apply([slices([[1.0, 4.0], [2.0, 0.0]], [2, 2]), tf.constant([12.0])], [table, bias])
    np.testing.assert_allclose(seen[2].values, [[1.5, 2.0]])  # still a row, not a table
    np.testing.assert_allclose(seen[1], [6.0])


def test_options_that_would_change_every_row_are_refused():
    with pytest.raises(ValueError, match=r"has no weight_decay; received weight_decay=0\.01"):
        LazyAdam(weight_decay=0.01)


def test_config_round_trip():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(LazyAdam(schedule, global_clipnorm=2.0)))
    assert isinstance(optimizer, LazyAdam) and optimizer.global_clipnorm == 2.0
    assert optimizer.get_config()["learning_rate"]["config"]["decay_rate"] == 0.5
