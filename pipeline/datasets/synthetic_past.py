"""Synthetic long histories: users who come with a past, and interests that only events from long ago reveal.

With `synthetic.history` above LONG, each user has clicked `history` times before the first request. The past is made of phases: in each of
them, PHASE clicks on items of one category. A user has LIKED favourite categories for ever, and the phases go through them again and again,
in a new order each time. So the last 50 events show one or two of them, and all others are to be found only before.

A request shows candidates of INTERESTS of the favourites, whenever their last phase was, beside others (`synthetic_world`). The
probability of a click depends on the whole history, where hundreds of events may be relevant:

    logit = BIAS + taste(user) + appeal(item) + INTEREST · log(1 + Σ relevance(item, event) / PHASE)

The clicks on what is shown are added to the history, as in other worlds. A user with few requests shows little by them.
"""

import numpy as np

PHASE = 40  # clicks
LIKED = 10  # favourite categories of a user
YEAR = 365 * 86_400  # seconds: the past begins so long before the first request


def phases(liked: np.ndarray, events: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the categories of all events of the past, the oldest first: (users, LIKED) -> (users, events)."""
    users, count = len(liked), -(-events // PHASE)
    rounds = [rng.permuted(liked, axis=1) for _ in range(-(-count // liked.shape[1]))]
    by_phase = np.concatenate(rounds, axis=1)[:, :count] if rounds else np.empty((users, 0), liked.dtype)
    return np.repeat(by_phase, PHASE, axis=1)[:, count * PHASE - events :]


def past_times(users: int, events: int, start: int) -> np.ndarray:
    """Returns when the events were, spread evenly over the year before `start`: (users, events)."""
    return np.tile(start - YEAR + np.arange(events) * (YEAR // events), (users, 1))


def draw_liked(users: int, categories: int, rng: np.random.Generator) -> np.ndarray:
    """Draws different favourites of each user: (users, LIKED), or fewer if there are fewer categories."""
    return rng.permuted(np.tile(np.arange(categories), (users, 1)), axis=1)[:, :LIKED]
