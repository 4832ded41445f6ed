"""Searches of long histories against their textbook forms in NumPy, candidate by candidate and event by event."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.long_history.chosen import most_recent, recent_of_splits
from din_trainer.layers.long_history.hard_search import hard_search
from din_trainer.layers.long_history.hash_search import HashSearch

LENGTHS = [7, 0, 40, 1, 12]  # of the histories, one of them empty
SPLITS = np.append(0, np.cumsum(LENGTHS))
ITEMS, CATEGORIES, BITS, MOST = 30, 6, 5, 4


def ragged(values):
    return tf.RaggedTensor.from_row_splits(tf.constant(values), tf.constant(SPLITS), validate=False)


def found(chosen):
    """The chosen positions by row."""
    assert (np.diff(chosen.rows) >= 0).all()
    return {
        row: [p for p, r in zip(chosen.positions.numpy(), chosen.rows.numpy(), strict=True) if r == row] for row in set(chosen.rows.numpy())
    }


def by_candidate(candidates):
    """(row, impression, candidate) of (B,) or (B, N)."""
    count = candidates[0].size
    return [(b * count + n, b, value) for b, row in enumerate(candidates) for n, value in enumerate(np.ravel(row))]


def test_the_most_recent_events_of_each_row():
    rows = np.repeat(np.arange(5), LENGTHS)
    expected = [p for b in range(5) for p in range(SPLITS[b], SPLITS[b + 1])[-3:]]
    assert most_recent(tf.constant(rows), 3).numpy().tolist() == expected
    recent = recent_of_splits(tf.constant(SPLITS), 3)
    assert recent.positions.numpy().tolist() == expected
    assert recent.rows.numpy().tolist() == rows[expected].tolist()
    assert most_recent(tf.constant([], tf.int64), 3).shape == (0,)


@pytest.mark.parametrize("shape", [(5,), (5, 9)], ids=["one candidate", "N candidates"])
def test_hard_search_takes_the_last_events_of_the_candidate_s_category(shape):
    """An empty history, categories with fewer than K events and with more, and categories that the history lacks."""
    rng = np.random.default_rng(0)
    events, candidates = rng.integers(1, CATEGORIES, SPLITS[-1]), rng.integers(1, CATEGORIES + 2, shape)
    expected = {}
    for row, b, category in by_candidate(candidates):
        same = [p for p in range(SPLITS[b], SPLITS[b + 1]) if events[p] == category]
        if same:
            expected[row] = same[-MOST:]
    counts = {len(positions) for positions in expected.values()}
    assert max(counts) == MOST
    assert len(shape) == 1 or min(counts) < MOST
    assert found(hard_search(ragged(events), tf.constant(candidates), MOST)) == expected


def test_hard_search_of_candidates_finds_what_it_finds_for_each_of_them():
    rng = np.random.default_rng(3)
    events, candidates = rng.integers(1, CATEGORIES, SPLITS[-1]), rng.integers(1, CATEGORIES, (5, 3))
    together = found(hard_search(ragged(events), tf.constant(candidates), MOST))
    for n in range(3):
        alone = found(hard_search(ragged(events), tf.constant(candidates[:, n]), MOST))
        assert {b * 3 + n: positions for b, positions in alone.items()} == {row: p for row, p in together.items() if row % 3 == n}


@pytest.fixture
def search():
    layer = HashSearch(BITS, MOST)
    layer.build([3, 2])
    return layer


@pytest.fixture
def tables():
    rng = np.random.default_rng(1)
    return [tf.Variable(rng.normal(size=(size, dim)).astype(np.float32)) for size, dim in ((ITEMS, 3), (CATEGORIES, 2))]


def ids(shape, seed=2):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, ITEMS, shape), rng.integers(1, CATEGORIES, shape)]


def nearest(search, tables, events, candidates):
    """SimHash and Hamming distance bit by bit: the K nearest events of each candidate, of equally near ones the more recent."""

    def bits(i, value):
        return [float(np.dot(tables[i].numpy()[value], vector)) > 0 for vector in np.array(search.vectors[i]).T]

    expected = {}
    for (row, b, item), (_, _, category) in zip(by_candidate(candidates[0]), by_candidate(candidates[1]), strict=True):
        own = bits(0, item) + bits(1, category)
        distance = {
            p: sum(x != y for x, y in zip(own, bits(0, events[0][p]) + bits(1, events[1][p]), strict=True))
            for p in range(SPLITS[b], SPLITS[b + 1])
        }
        if distance:
            expected[row] = sorted(distance, key=lambda p: (distance[p], -p))[:MOST]
    return expected


@pytest.mark.parametrize("shape", [(5,), (5, 9)], ids=["one candidate", "N candidates"])
def test_hash_search_takes_the_nearest_events_and_of_equally_near_ones_the_most_recent(search, tables, shape):
    """Few bits, so that many events are equally near; an empty history and one of a single event."""
    events, candidates = ids(SPLITS[-1]), ids(shape, seed=4)
    chosen = found(search.choose(tables, [ragged(x) for x in events], [tf.constant(x) for x in candidates]))
    assert chosen == nearest(search, tables, events, candidates)


def test_each_row_of_a_large_table_is_hashed_once_and_gives_the_same(search, tables):
    """A table with more rows than the batch has ids: only the rows that the batch has are hashed."""
    large = [tf.Variable(tf.pad(table, [[0, 500], [0, 0]])) for table in tables]
    events, candidates = [ragged(x) for x in ids(SPLITS[-1])], [tf.constant(x) for x in ids((5,), seed=4)]
    np.testing.assert_array_equal(search.choose(large, events, candidates).positions, search.choose(tables, events, candidates).positions)


def test_the_last_of_32_bits_counts():
    """The last bit is the sign of the packed integer."""
    layer = HashSearch(32, 1)
    layer.build([1])
    layer.vectors[0].assign(np.append(np.zeros(31), 1)[None])
    table = tf.Variable([[0.0], [1.0], [-1.0]])
    events = tf.RaggedTensor.from_row_splits(tf.constant([1, 2], tf.int64), tf.constant([0, 2], tf.int64))
    assert [int(layer.choose([table], [events], [tf.constant([candidate], tf.int64)]).positions[0]) for candidate in (1, 2)] == [0, 1]


def test_a_history_of_the_greatest_length_keeps_ties_in_order():
    """100,000 equal events: the recency of each differs in float32 as well."""
    layer = HashSearch(32, 3)
    layer.build([1])
    table = tf.Variable([[0.0], [1.0]])
    events = tf.RaggedTensor.from_row_splits(tf.ones([100_000], tf.int64), tf.constant([0, 100_000], tf.int64))
    for candidates in (tf.constant([1], tf.int64), tf.constant([[1]], tf.int64)):
        assert layer.choose([table], [events], [candidates]).positions.numpy().tolist() == [99_999, 99_998, 99_997]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2,), (2, 3), (2, 0)])
def test_batches_without_impressions_events_or_candidates(search, tables, shape):
    nothing = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int64), tf.zeros([shape[0] + 1], tf.int64))
    candidates = tf.ones(shape, tf.int64)
    assert search.choose(tables, [nothing, nothing], [candidates, candidates]).rows.shape == (0,)
    assert hard_search(nothing, candidates, MOST).rows.shape == (0,)


@pytest.mark.parametrize("bits", [0, 33])
def test_refuses_numbers_of_bits_that_do_not_fit_into_an_integer(bits):
    with pytest.raises(ValueError, match="from 1 to 32"):
        HashSearch(bits, 1)
