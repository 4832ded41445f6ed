"""Synthetic long histories: users come with a full past of phases, whose interests only old events reveal."""

import numpy as np

from pipeline.datasets.synthetic_config import LONG, PAGE, SyntheticConfig
from pipeline.datasets.synthetic_past import LIKED, PHASE, YEAR, past_times, phases
from pipeline.datasets.synthetic_world import START, make_world, new_memory, relevance, simulate

CONFIG = SyntheticConfig(examples=2_000, users=150, items=300, categories=30, history=1_000, seed=1)


def test_the_past_goes_through_the_favourites_phase_by_phase():
    """10 events in phases: the first phase is cut, so that the last one is whole."""
    liked = np.array([[3, 4], [7, 5]])
    found = phases(liked, PHASE * 2 + 5, np.random.default_rng(0))
    assert found.shape == (2, PHASE * 2 + 5)
    for row, favourites in zip(found, liked, strict=True):
        assert set(row) == set(favourites)
        assert len(set(row[:5])) == len(set(row[5 : PHASE + 5])) == len(set(row[PHASE + 5 :])) == 1
    assert past_times(1, 3, YEAR).tolist() == [[0, YEAR // 3, 2 * (YEAR // 3)]]


def test_users_come_with_a_full_past_before_the_first_request():
    rng = np.random.default_rng(0)
    world = make_world(CONFIG, rng)
    memory = new_memory(CONFIG, world, rng)
    assert memory.event_item.shape == memory.event_time.shape == (CONFIG.users, CONFIG.history)
    assert (np.diff(memory.event_time, axis=1) > 0).all() and memory.event_time.max() < START
    for user in range(CONFIG.users):
        assert len(set(memory.wanted[user])) == LIKED
        assert set(world.category[memory.event_item[user]]) == set(memory.wanted[user])
        assert len(set(world.category[memory.event_item[user, -2 * PHASE :]])) <= 2  # two phases; 50 events show one or two favourites


def test_clicks_follow_the_whole_history_and_join_it():
    rng = np.random.default_rng(0)
    world = make_world(CONFIG, rng)
    chunks = list(simulate(CONFIG, world, rng))
    first = {}
    for chunk in chunks:
        interest = np.log1p(relevance(world, chunk.item, chunk.event_item).sum(-1, dtype=np.float64) / PHASE)
        logit = np.log(chunk.probability / (1 - chunk.probability))
        rest = logit - world.taste[chunk.user][:, None] - world.appeal[chunk.item]
        np.testing.assert_allclose(rest, -2.2 + 2.5 * interest, atol=1e-6)
        for user, events, items, labels in zip(chunk.user, chunk.event_item, chunk.item, chunk.label, strict=True):
            if user in first:
                before, clicked = first[user]
                assert events.tolist() == (before + clicked)[-CONFIG.history :]
            first[user] = events.tolist(), items[labels == 1].tolist()
    assert sum(chunk.item.size for chunk in chunks) == CONFIG.examples == PAGE * sum(len(chunk.user) for chunk in chunks)


def test_shorter_histories_have_no_past():
    config = CONFIG.model_copy(update={"history": LONG})
    rng = np.random.default_rng(0)
    memory = new_memory(config, make_world(config, rng), rng)
    assert not config.has_past and (memory.event_item == -1).all()
