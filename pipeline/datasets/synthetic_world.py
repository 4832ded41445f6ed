"""The world behind synthetic impressions: users, items, and the probability that a user clicks on an item.

An item belongs to one category, has a latent vector near the centre of its category, and a popularity by Zipf's law. A user has INTERESTS
favourite categories at a time; at the user's next request, each of them may have been replaced by another one. A request shows PAGE
candidates: about ON_INTEREST of them come from the user's present interests, the others from all items. A label is a draw with the
probability σ(logit):

    logit = BIAS + taste(user) + appeal(item) + INTEREST · log(1 + Σ relevance(item, event))    over the events of the visible history
    relevance(a, b) = max(0, 2 cos(vector a, vector b) − 1)    same item: 1, same category: about 0.7, other category: almost always 0

The interests decide what is shown, and so, over time, what is in the history. The probability depends on the candidate, the user and the
history only, and all three are features. So the true probabilities (the oracle) are the best that a model can reach, in expectation.

Where each gap comes from:

* A model without history is far below the oracle. Interests come and go, so a user's id does not show what the user wants now, and
  candidates of the present interests stand beside other candidates that are as popular. The appeal of items and the taste of users remain.
* Mean pooling is below DIN. A history holds several interests, and only the events that are relevant to the candidate count. Mean pooling
  averages before the candidate is known: a few relevant events out of ten are blended with the others, and the layers behind it have to
  undo the blend. Local activation compares each event with the candidate and adds up the relevant ones only.
  Measured on the demo preset: mean pooling has 0.77 of DIN's lift (AUC − 0.5), a sum instead of the mean has 0.80 (so the blend is the
  cause, hardly the division), and with INTERESTS = 1, where little is blended, the mean has 0.93.
* DIN is a little below the oracle. It has to learn vectors, appeals and tastes from a finite number of draws.

`synthetic_ads` and `synthetic_conversions` say what more there is with `synthetic.ads` and `synthetic.conversions`, `synthetic_past` what
else there is if histories are long.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.datasets.synthetic_ads import Ads, ads_logit, draw_prices, make_ads
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_past import PHASE, draw_liked, past_times, phases

INTERESTS = 4  # favourite categories of a user at one time
TURNOVER = 0.1  # chance that an interest is replaced by another one before the user's next request
ON_INTEREST = 0.5  # share of candidates from the user's present interests; the others come from all items
VECTOR_SIZE = 16
ITEM_SPREAD = 0.4  # distance of an item from its category's centre, which has length 1
BIAS = -2.2  # the logit of an average item for an average user with no relevant history
USER_TASTE = ITEM_APPEAL = 0.25  # standard deviation over users, over items, in logits
INTEREST = 2.5  # logits for each unit of log(1 + relevance)
START, DURATION = 1_767_225_600, 30 * 86_400  # seconds: a month from 2026-01-01
ACTIVITY_SPREAD = 1.0  # standard deviation of the logarithm: some users come often, some rarely
CHUNK = 2_000  # most requests that are generated at once
_EVENTS = 1_000_000  # of these requests together, with a past


class World(NamedTuple):
    """What does not change: users and items. Ids count from 0; an item's id does not depend on its popularity."""

    taste: np.ndarray  # (users,) how easily a user clicks, in logits
    appeal: np.ndarray  # (items,) how easily an item is clicked, in logits
    centre: np.ndarray  # (categories, VECTOR_SIZE) of length 1
    vector: np.ndarray  # (items, VECTOR_SIZE) float32, of length 1
    category: np.ndarray  # (items,) int64
    alive: np.ndarray  # (items,) ids of the items that can be shown, in order
    shelf: np.ndarray  # (items,) the same ids sorted by category
    share: np.ndarray  # (items + 1,) cumulative popularity along the shelf, from 0 to 1
    bounds: np.ndarray  # (categories + 1,) where each category begins on the shelf
    activity: np.ndarray  # (users,) cumulative shares of the requests
    ads: Ads | None = None  # with synthetic.ads
    unit: float = 1.0  # the relevance that counts as one event; with a past that of a phase


class Requests(NamedTuple):
    """R requests in time order, each with a page of PAGE candidates; H is the length of the history."""

    number: np.ndarray  # (R,) from 0
    user: np.ndarray  # (R,)
    timestamp: np.ndarray  # (R,) unix seconds
    item: np.ndarray  # (R, PAGE)
    event_item: np.ndarray  # (R, H) clicked before, oldest first; -1 pads on the left
    event_time: np.ndarray  # (R, H)
    probability: np.ndarray  # (R, PAGE) of a click
    label: np.ndarray  # (R, PAGE)
    price: np.ndarray | None = None  # (R, PAGE) with synthetic.ads
    event_price: np.ndarray | None = None  # (R, H) with synthetic.ads
    purchase_probability: np.ndarray | None = None  # (R, PAGE) with synthetic.conversions
    purchase: np.ndarray | None = None  # (R, PAGE) with synthetic.conversions

    def where(self, inside: np.ndarray) -> "Requests":
        """Returns those requests that are inside, (R,) bool."""
        return self._replace(**{name: column[inside] for name, column in self._asdict().items() if column is not None})


def make_world(config: SyntheticConfig, rng: np.random.Generator) -> World:
    """Draws users and items."""
    category = rng.permutation(np.arange(config.items) % config.category_count)
    centre = _unit(rng.standard_normal((config.category_count, VECTOR_SIZE)))
    vector = near(centre[category], rng)
    popularity = 1 / (rng.permutation(config.items) + 10.0)  # Zipf's law without its head, so that no item is on every page
    shelf = np.argsort(category, kind="stable")
    log = np.log(popularity)
    activity = _shares(rng.lognormal(sigma=ACTIVITY_SPREAD, size=config.users))
    return World(
        taste=USER_TASTE * rng.standard_normal(config.users),
        appeal=ITEM_APPEAL * (log - log.mean()) / log.std(),
        centre=centre,
        vector=vector.astype(np.float32),
        category=category,
        alive=np.arange(config.items),
        shelf=shelf,
        share=np.append(0, _shares(popularity[shelf])),
        bounds=np.searchsorted(category[shelf], np.arange(config.category_count + 1)),
        activity=activity,
        ads=make_ads(VECTOR_SIZE, rng) if config.ads else None,
        unit=PHASE if config.has_past else 1.0,
    )


def near(centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, VECTOR_SIZE) centres of categories -> (N, VECTOR_SIZE) vectors of new items, of length 1."""
    return _unit(centre + ITEM_SPREAD * _unit(rng.standard_normal(centre.shape)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _shares(weight: np.ndarray) -> np.ndarray:
    """Returns cumulative shares of weights; the last one is exactly 1."""
    total = np.cumsum(weight)
    return total / total[-1]


def relevance(world: World, item: np.ndarray, event_item: np.ndarray) -> np.ndarray:
    """(R, PAGE) candidates, (R, H) history -> (R, PAGE, H): how relevant each event is for each candidate; 0 where there is no event."""
    cosine = world.vector[item] @ world.vector[event_item].transpose(0, 2, 1)  # (R, PAGE, V) × (R, V, H) -> (R, PAGE, H)
    return np.where(event_item[:, None] >= 0, np.maximum(2 * cosine - 1, 0), 0)


def click_probability(
    world: World,
    user: np.ndarray,
    item: np.ndarray,
    event_item: np.ndarray,
    price: np.ndarray | None = None,
    event_price: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the probability of a click, which depends only on what the features show.

    Args:
        world: Users and items.
        user: (R,).
        item: (R, PAGE), the candidates.
        event_item: (R, H), the history; -1 is no event.
        price: (R, PAGE), what the candidates cost, if the world has ads.
        event_price: (R, H), what the events cost, if the world has ads.

    Returns:
        (R, PAGE).
    """
    relevant = relevance(world, item, event_item)
    interest = np.log1p(relevant.sum(-1, dtype=np.float64) / world.unit)
    logit = BIAS + world.taste[user][:, None] + world.appeal[item] + INTEREST * interest
    if world.ads and price is not None and event_price is not None:
        logit += ads_logit(world.ads, item, world.centre[world.category[item]], price, relevant, event_price)
    return 1 / (1 + np.exp(-logit))


class Memory(NamedTuple):
    """What changes from request to request: the interests of the users and their most recent clicks; H is the length of the history."""

    wanted: np.ndarray  # (users, INTERESTS) categories; with a past (users, LIKED)
    event_item: np.ndarray  # (users, H) clicked, oldest first; -1 pads on the left
    event_time: np.ndarray  # (users, H)
    event_price: np.ndarray | None  # (users, H) with synthetic.ads


def new_memory(config: SyntheticConfig, world: World, rng: np.random.Generator) -> Memory:
    """Draws the first interests. Nobody has clicked yet, unless users come with a past."""
    if config.has_past:
        return _past(config, world, rng)
    return Memory(
        wanted=rng.integers(config.category_count, size=(config.users, INTERESTS)),
        event_item=np.full((config.users, config.history), -1),
        event_time=np.zeros((config.users, config.history), np.int64),
        event_price=np.zeros((config.users, config.history), np.float32) if config.ads else None,
    )


def _past(config: SyntheticConfig, world: World, rng: np.random.Generator) -> Memory:
    """Draws the favourites of the users, and what they clicked before the first request."""
    liked = draw_liked(config.users, config.category_count, rng)
    category = phases(liked, config.history, rng)
    low, high = world.share[world.bounds[category]], world.share[world.bounds[category + 1]]
    event_item = world.shelf[_places(world, low + rng.random(category.shape) * (high - low))]
    price = np.stack([draw_prices(world.ads, world.vector[items], rng) for items in event_item]) if world.ads else None
    return Memory(liked, event_item, past_times(config.users, config.history, START), price)


def simulate(config: SyntheticConfig, world: World, rng: np.random.Generator) -> Iterator[Requests]:
    """Yields all requests in time order, at most CHUNK at once. A chunk has each user once, so its histories are known at its start."""
    memory = new_memory(config, world, rng)
    done, end, clock = 0, pages(config.examples), START
    gap = DURATION / end  # seconds between two requests, on average
    while done < end:
        user = draw_users(config, world, end - done, rng)
        number = np.arange(done, done + len(user))
        timestamp = clock + np.cumsum(rng.exponential(gap, len(user))).astype(np.int64)
        done, clock = done + len(user), timestamp[-1] + 1
        yield serve(config, world, memory, number, user, timestamp, rng)


def draw_users(config: SyntheticConfig, world: World, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draws at most CHUNK different users by their activity, and not more than `most`, (R,). With a past, fewer fit into memory."""
    chunk = min(CHUNK, max(_EVENTS // config.history, 1)) if config.has_past else CHUNK
    user = np.unique(np.searchsorted(world.activity, rng.random(min(chunk, config.users))))
    return rng.permutation(user)[:most]


def serve(
    config: SyntheticConfig,
    world: World,
    memory: Memory,
    number: np.ndarray,
    user: np.ndarray,
    timestamp: np.ndarray,
    rng: np.random.Generator,
) -> Requests:
    """Shows each of some different users a page, draws the clicks, and remembers them.

    Args:
        config: The sizes.
        world: Users and items.
        memory: Changed in place.
        number: (R,) numbers of the requests.
        user: (R,) different users.
        timestamp: (R,) unix seconds.
        rng: For interests, candidates and clicks.
    """
    if config.has_past:
        wanted = rng.permuted(memory.wanted[user], axis=1)[:, :INTERESTS]
    else:
        turned = rng.random((len(user), INTERESTS)) < TURNOVER
        wanted = np.where(turned, rng.integers(config.category_count, size=turned.shape), memory.wanted[user])
        memory.wanted[user] = wanted
    item = _candidates(world, wanted, rng)
    event_item, event_time = memory.event_item[user], memory.event_time[user]
    price = draw_prices(world.ads, world.vector[item], rng) if world.ads else None
    event_price = None if memory.event_price is None else memory.event_price[user]
    probability = np.full(item.shape, 0.5)
    if config.labels == "interest":
        probability = click_probability(world, user, item, event_item, price, event_price)
    label = (rng.random(item.shape) < probability).astype(np.int64)
    for place in range(PAGE):
        clicked = label[:, place] == 1
        _remember(memory.event_item, user[clicked], item[clicked, place])
        _remember(memory.event_time, user[clicked], timestamp[clicked])
        if price is not None and memory.event_price is not None:
            _remember(memory.event_price, user[clicked], price[clicked, place])
    return Requests(number, user, timestamp, item, event_item, event_time, probability, label, price, event_price)


def _candidates(world: World, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a page for each request, (R, INTERESTS) -> (R, PAGE): partly from the user's interests, partly from all items, by popularity.

    Where an item is drawn twice for a page, another item takes the second place; all items are equally likely.
    """
    shape = (len(wanted), PAGE)
    category = np.take_along_axis(wanted, rng.integers(wanted.shape[1], size=shape), axis=1)
    on_interest = rng.random(shape) < ON_INTEREST
    low = np.where(on_interest, world.share[world.bounds[category]], 0)
    high = np.where(on_interest, world.share[world.bounds[category + 1]], 1)
    item = world.shelf[_places(world, low + rng.random(shape) * (high - low))]
    while (again := _repeats(item)).any():
        item[again] = world.alive[rng.integers(len(world.alive), size=again.sum())]
    return item


def _places(world: World, share: np.ndarray) -> np.ndarray:
    """The places on the shelf with some cumulative popularity."""
    place = np.searchsorted(world.share, share, side="right") - 1
    return np.minimum(place, len(world.shelf) - 1)  # rounding may reach the end


def _repeats(item: np.ndarray) -> np.ndarray:
    """(R, PAGE) -> (R, PAGE) bool: whether the same item is further left on the page."""
    same = item[:, :, None] == item[:, None, :]
    return np.tril(same, -1).any(-1)


def _remember(events: np.ndarray, user: np.ndarray, value: np.ndarray) -> None:
    """Appends one event to the right of each user's row in (users, H); the oldest one falls off on the left."""
    events[user, :-1] = events[user, 1:]
    events[user, -1] = value


def pages(impressions: float) -> int:
    """Returns how many requests it takes to show this many impressions."""
    return -(-round(impressions) // PAGE)
