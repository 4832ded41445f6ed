"""Synthetic impressions that can be learnt, with a known ceiling.

The world. An item belongs to one category, has a latent vector near its category's centre, and a popularity by Zipf's law. A user is after
INTERESTS categories at a time; by the next request each of them may have given way to another. A request shows PAGE candidates, about
ON_INTEREST of them from the user's interests of the moment, the rest from everything. A label is a draw with the probability σ(logit):

    logit = BIAS + taste(user) + appeal(item) + INTEREST · log(1 + Σ relevance(item, event))    over the events of the visible history
    relevance(a, b) = max(0, 2 cos(vector a, vector b) − 1)    same item: 1, same category: about 0.7, other category: almost always 0

A user's interests act through what is shown and so, in time, through the history; the probability itself rests on candidate, user and
history alone, all of which are features. So the true probabilities (the oracle) are what a model can reach at best, in expectation.

Which mechanism each gap comes from:

* No history, far below the oracle. Interests come and go, so a user's id cannot tell what the user wants now, and candidates of the
  moment's interests stand beside equally popular ones. What is left is the appeal of items and the taste of users.
* Mean pooling, below DIN. A history holds several interests, and only the events relevant to the candidate count. An average is taken
  before the candidate is known: the events that matter are a few out of ten, blended with the others, and the layers behind have to
  undo the blend. Local activation looks at each event beside the candidate and adds up the relevant ones alone.
  Measured on the demo preset: mean pooling has 0.77 of DIN's lift (AUC − 0.5), a sum in place of the mean 0.80 (so it is the blend, hardly
  the division), and with INTERESTS = 1, where little is blended, the mean has 0.93.
* DIN, a little below the oracle. Vectors, appeals and tastes have to be learnt from a finite number of draws.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from components.base.errors import InputError
from components.evaluation.metrics.gauc import gauc
from din_trainer.features import Frozen
from pipeline.datasets.layout import MANIFEST, SPLITS, DatasetWriter, list_column, scalar_column

PAGE = 5  # candidates a request
DEFAULT_CATEGORIES = 50
INTERESTS = 4  # categories that a user is after at one time
TURNOVER = 0.1  # chance that an interest has given way to another one by the user's next request
ON_INTEREST = 0.5  # share of candidates from the user's present interests; the others are drawn by popularity
VECTOR_SIZE = 16
ITEM_SPREAD = 0.4  # distance of an item from its category's centre, of length 1
BIAS = -2.2  # the logit of an average item for an average user with no relevant history
USER_TASTE = ITEM_APPEAL = 0.25  # standard deviation over users, over items, in logits
INTEREST = 2.5  # logits for each unit of log(1 + relevance)
START, DURATION = 1_767_225_600, 30 * 86_400  # seconds: from 2026-01-01 on, a month
ACTIVITY_SPREAD = 1.0  # standard deviation of the logarithm: some users come often, some hardly ever
CHUNK = 2_000  # requests generated at once, at most
CUTS = (0.8, 0.9)  # shares of the impressions at which validation and eval begin
_RULES = {
    "label": "a Bernoulli draw of the known click probability",
    "history": "the user's clicks before the request, oldest first, the most recent {history}",
    "split": "in time, at request boundaries: the first 80 % of the impressions are train, the next 10 % validation, the rest eval",
}


class SyntheticConfig(Frozen):
    """Sizes of the world; the defaults are the notebook's."""

    examples: int = Field(50_000, ge=100, description="Impressions.")
    users: int = Field(1_000, ge=1)
    items: int = Field(500, ge=PAGE)
    categories: int | None = Field(None, ge=1, description=f"None: {DEFAULT_CATEGORIES}, or one an item where there are fewer items.")
    history: int = Field(10, ge=1, description="Most recent clicks kept.")
    labels: Literal["interest", "random"] = Field("interest", description="random: coin flips, from which nothing can be learnt.")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> "SyntheticConfig":
        if self.category_count > self.items:
            raise ValueError(f"categories ({self.categories}) must not outnumber items ({self.items})")
        return self

    @property
    def category_count(self) -> int:
        return self.categories or min(DEFAULT_CATEGORIES, self.items)


class World(NamedTuple):
    """What stays the same: users and items. Ids count from 0; items are numbered in no order of popularity."""

    taste: np.ndarray  # (users,) how readily a user clicks, in logits
    appeal: np.ndarray  # (items,) how readily an item is clicked, in logits
    vector: np.ndarray  # (items, VECTOR_SIZE) float32, of length 1
    category: np.ndarray  # (items,) int64
    shelf: np.ndarray  # (items,) item ids by category
    share: np.ndarray  # (items + 1,) cumulative popularity along the shelf, from 0 to 1
    bounds: np.ndarray  # (categories + 1,) where a category begins on the shelf
    activity: np.ndarray  # (users,) cumulative share of the requests


class Requests(NamedTuple):
    """R requests in time order, each a page of PAGE candidates; H = history."""

    number: np.ndarray  # (R,) from 0
    user: np.ndarray  # (R,)
    timestamp: np.ndarray  # (R,) unix seconds
    item: np.ndarray  # (R, PAGE)
    event_item: np.ndarray  # (R, H) clicked before, oldest first; -1 fills the left
    event_time: np.ndarray  # (R, H)
    probability: np.ndarray  # (R, PAGE) of a click
    label: np.ndarray  # (R, PAGE)


def make_world(config: SyntheticConfig, rng: np.random.Generator) -> World:
    """Draws users and items."""
    category = rng.permutation(np.arange(config.items) % config.category_count)
    centre = _unit(rng.standard_normal((config.category_count, VECTOR_SIZE)))
    vector = _unit(centre[category] + ITEM_SPREAD * _unit(rng.standard_normal((config.items, VECTOR_SIZE))))
    popularity = 1 / (rng.permutation(config.items) + 10.0)  # Zipf, its head cut off so that no item is on every page
    shelf = np.argsort(category, kind="stable")
    log = np.log(popularity)
    activity = _shares(rng.lognormal(sigma=ACTIVITY_SPREAD, size=config.users))
    return World(
        taste=USER_TASTE * rng.standard_normal(config.users),
        appeal=ITEM_APPEAL * (log - log.mean()) / log.std(),
        vector=vector.astype(np.float32),
        category=category,
        shelf=shelf,
        share=np.append(0, _shares(popularity[shelf])),
        bounds=np.searchsorted(category[shelf], np.arange(config.category_count + 1)),
        activity=activity,
    )


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _shares(weight: np.ndarray) -> np.ndarray:
    """Cumulative shares of weights, ending in exactly 1."""
    total = np.cumsum(weight)
    return total / total[-1]


def click_probability(world: World, user: np.ndarray, item: np.ndarray, event_item: np.ndarray) -> np.ndarray:
    """The probability of a click, from what the features show and from nothing else.

    Args:
        user: (R,).
        item: (R, PAGE), the candidates.
        event_item: (R, H), the history; -1 is no event.

    Returns:
        (R, PAGE).
    """
    cosine = world.vector[item] @ world.vector[event_item].transpose(0, 2, 1)  # (R, PAGE, V) × (R, V, H) -> (R, PAGE, H)
    relevance = np.where(event_item[:, None] >= 0, np.maximum(2 * cosine - 1, 0), 0)
    interest = np.log1p(relevance.sum(-1, dtype=np.float64))
    logit = BIAS + world.taste[user][:, None] + world.appeal[item] + INTEREST * interest
    return 1 / (1 + np.exp(-logit))


def simulate(config: SyntheticConfig, world: World, rng: np.random.Generator) -> Iterator[Requests]:
    """Yields all requests in time order, at most CHUNK at once; no user is in a chunk twice, so its histories are known at its start."""
    wanted = rng.integers(config.category_count, size=(config.users, INTERESTS))
    event_item = np.full((config.users, config.history), -1)
    event_time = np.zeros((config.users, config.history), np.int64)
    done, end, clock = 0, _pages(config.examples), START
    gap = DURATION / end  # seconds between two requests, on average
    while done < end:
        user = np.unique(np.searchsorted(world.activity, rng.random(min(CHUNK, config.users))))
        user = rng.permutation(user)[: end - done]
        number = np.arange(done, done + len(user))
        timestamp = clock + np.cumsum(rng.exponential(gap, len(user))).astype(np.int64)
        done, clock = done + len(user), timestamp[-1] + 1
        turned = rng.random((len(user), INTERESTS)) < TURNOVER
        wanted[user] = np.where(turned, rng.integers(config.category_count, size=turned.shape), wanted[user])
        item = _candidates(world, wanted[user], rng)
        probability = click_probability(world, user, item, event_item[user]) if config.labels == "interest" else np.full(item.shape, 0.5)
        label = (rng.random(item.shape) < probability).astype(np.int64)
        yield Requests(number, user, timestamp, item, event_item[user], event_time[user], probability, label)
        for place in range(PAGE):
            clicked = label[:, place] == 1
            _remember(event_item, user[clicked], item[clicked, place])
            _remember(event_time, user[clicked], timestamp[clicked])


def _candidates(world: World, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A page a request, (R, INTERESTS) -> (R, PAGE): partly from the user's present interests, partly from everything, both by popularity.

    An item that is on a page already gives its second place to one drawn evenly.
    """
    shape = (len(wanted), PAGE)
    category = np.take_along_axis(wanted, rng.integers(INTERESTS, size=shape), axis=1)
    on_interest = rng.random(shape) < ON_INTEREST
    low = np.where(on_interest, world.share[world.bounds[category]], 0)
    high = np.where(on_interest, world.share[world.bounds[category + 1]], 1)
    place = np.searchsorted(world.share, low + rng.random(shape) * (high - low), side="right") - 1
    item = world.shelf[np.minimum(place, len(world.shelf) - 1)]  # rounding may reach the very end
    while (again := _repeats(item)).any():
        item[again] = rng.integers(len(world.shelf), size=again.sum())
    return item


def _repeats(item: np.ndarray) -> np.ndarray:
    """(R, PAGE) -> (R, PAGE) bool: whether the item stands further left on its page too."""
    same = item[:, :, None] == item[:, None, :]
    return np.tril(same, -1).any(-1)


def _remember(events: np.ndarray, user: np.ndarray, value: np.ndarray) -> None:
    """Appends one event to the right of each user's row in (users, H); the oldest one falls off on the left."""
    events[user, :-1] = events[user, 1:]
    events[user, -1] = value


def to_batch(world: World, requests: Requests) -> pa.RecordBatch:
    """One row an impression."""
    event_item = np.repeat(requests.event_item, PAGE, axis=0)  # (R·PAGE, H)
    known = event_item >= 0
    events = event_item[known]
    offsets = np.append(0, np.cumsum(known.sum(1)))
    return pa.RecordBatch.from_pydict(
        {
            "user_id": scalar_column(np.repeat(requests.user, PAGE)),
            "candidate_item_id": scalar_column(requests.item.ravel()),
            "candidate_category_id": scalar_column(world.category[requests.item].ravel()),
            "historical_item_ids": list_column(events, offsets),
            "historical_category_ids": list_column(world.category[events], offsets),
            "historical_timestamps": list_column(np.repeat(requests.event_time, PAGE, axis=0)[known], offsets),
            "request_id": scalar_column(np.repeat(requests.number, PAGE)),
            "timestamp": scalar_column(np.repeat(requests.timestamp, PAGE)),
            "label": scalar_column(requests.label.ravel()),
        }
    )


def generate(config: SyntheticConfig, out: Path, item_features: Path | None = None, command: str = "") -> dict[str, Any]:
    """Writes a synthetic data set. The same configuration gives the same bytes.

    Args:
        config: Sizes and seed.
        out: Folder to make; it must not exist or be empty.
        item_features: An .npz file to write as well: `ids` (items,) int64 and `vectors` (items, VECTOR_SIZE) float32, the latent vectors.
        command: What the user typed, for the manifest.

    Returns:
        The manifest as written to `out/manifest.json`. Its `oracle` holds the metrics of the true probabilities on the eval split, null
        where they are undefined (one class only).

    Raises:
        InputError: `out` or `item_features` cannot be written.
    """
    rng = np.random.default_rng(config.seed)
    world = make_world(config, rng)
    clicks = dict.fromkeys(SPLITS, 0)
    times: dict[str, dict[str, int]] = {}
    judged: list[list[np.ndarray]] = []  # user, probability and label of the eval split
    with DatasetWriter(out) as writer:
        for split, requests, rows in _in_splits(config, simulate(config, world, rng)):
            writer.write(split, to_batch(world, requests).slice(0, rows))
            clicks[split] += int(requests.label.ravel()[:rows].sum())
            times.setdefault(split, {"first": int(requests.timestamp[0])})["last"] = int(requests.timestamp[-1])
            if split == "eval":
                judged.append([x.ravel()[:rows] for x in (np.repeat(requests.user, PAGE), requests.probability, requests.label)])
        if item_features is not None:
            _write_item_features(item_features, world)
        writer.manifest = {
            "source": "synthetic",
            "command": command,
            "seed": config.seed,
            "config": {**config.model_dump(mode="json"), "categories": config.category_count},
            "split": "time",
            "rules": {**_RULES, "history": _RULES["history"].format(history=config.history)},
            "time_range": {"first": times["train"]["first"], "last": times["eval"]["last"]},
            "split_time_ranges": times,
            "base_rate": {split: clicks[split] / writer.counts[split] for split in SPLITS},
            "oracle": oracle_metrics(*(np.concatenate(column) for column in zip(*judged, strict=True))),
        }
    return json.loads((out / MANIFEST).read_text())


def _pages(impressions: float) -> int:
    """Requests that it takes to show so many impressions."""
    return -(-round(impressions) // PAGE)


def _in_splits(config: SyntheticConfig, chunks: Iterator[Requests]) -> Iterator[tuple[str, Requests, int]]:
    """Cuts chunks where a split ends; yields the split, its requests and how many of their impressions count (the last page may be cut)."""
    borders = [0, *(_pages(cut * config.examples) for cut in CUTS), _pages(config.examples)]
    for chunk in chunks:
        for split, low, high in zip(SPLITS, borders[:-1], borders[1:], strict=True):
            inside = (chunk.number >= low) & (chunk.number < high)
            if inside.any():
                part = Requests(*(column[inside] for column in chunk))
                yield split, part, min(part.item.size, config.examples - PAGE * int(part.number[0]))


def oracle_metrics(user: np.ndarray, probability: np.ndarray, label: np.ndarray) -> dict[str, float | None]:
    """AUC, GAUC and log loss of (N,) probabilities."""
    log_loss = -np.log(np.where(label == 1, probability, 1 - probability)).mean()
    return {
        "auc": gauc(np.zeros(len(user)), probability, label),  # all as one user's
        "gauc": gauc(user, probability, label),
        "log_loss": float(log_loss),
    }


def _write_item_features(path: Path, world: World) -> None:
    try:
        with open(path, "wb") as file:
            np.savez(file, ids=np.arange(len(world.vector)), vectors=world.vector)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another file with --item-features.") from error
