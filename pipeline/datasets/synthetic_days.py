"""Synthetic impressions of consecutive days: the world of `synthetic_world`, which is a little different each day.

From one day to the next, by the share `drift`:

* this share of the items, drawn at random, die: they are shown no more, but stay in histories. A new item takes the place of each one, with
  its category, popularity and appeal, a vector of its own and a new id.
* each interest of a user has this chance to be replaced by another one, besides the turnover at each request.
* the taste of each user and the appeal of each place keep 1 − drift of what they were, and the rest is drawn anew, so that their spread
  stays: x ← (1 − drift) x + √(1 − (1 − drift)²) · a draw from their distribution.

Without drift all days have the same world. The clicks of earlier days are in the histories of later ones. Each day has its own oracle.
"""

import json
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.datasets.day_writer import DayWriter
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.spans import IMPRESSIONS, day_of
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_conversions import Conversions
from pipeline.datasets.synthetic_rows import judged_columns, oracle_facts, to_batch, write_item_features
from pipeline.datasets.synthetic_world import (
    ITEM_APPEAL,
    START,
    USER_TASTE,
    Memory,
    Requests,
    World,
    draw_users,
    make_world,
    near,
    new_memory,
    pages,
    serve,
)

_SECONDS = 86_400  # of a day


class Day(NamedTuple):
    """One day.

    Attributes:
        date: In UTC.
        world: Users and items of this day; the items of earlier days are in it too, but on no shelf.
        born: How many items are new.
        chunks: The requests, in time order.
    """

    date: date
    world: World
    born: int
    chunks: Iterator[Requests]


def generate_days(config: SyntheticConfig, out: Path, item_features: Path | None, command: str) -> dict[str, Any]:
    """Writes the days; see `synthetic.generate`."""
    facts = {
        "source": "synthetic",
        "command": command,
        "seed": config.seed,
        "config": {**config.model_dump(mode="json"), "categories": config.category_count},
    }
    oracles: dict[str, dict[str, float | None]] = {}
    conversions = Conversions(config) if config.conversions else None
    last = 0
    with DayWriter(out) as writer:
        for day in simulate_days(config):
            judged = []
            for chunk in day.chunks:
                requests = conversions.draw(day.world, chunk) if conversions else chunk
                rows = min(requests.item.size, config.examples - PAGE * int(requests.number[0]))
                writer.write(day.date, to_batch(day.world, requests).slice(0, rows))
                judged.append(judged_columns(requests, rows))
                last = int(requests.timestamp[-1])
            columns = [np.concatenate(column) for column in zip(*judged, strict=True)]
            oracle = oracle_facts(columns)
            oracles[day.date.isoformat()] = oracle["oracle"]
            writer.describe_day(
                day.date,
                {
                    **facts,
                    "day": day.date.isoformat(),
                    "items": {"all": len(day.world.shelf), "born": day.born, "died": day.born},
                    "base_rate": {IMPRESSIONS: float(columns[2].mean())},
                    **oracle,
                },
            )
        if item_features is not None:
            write_item_features(item_features, day.world)
        writer.manifest = {**facts, "split": "day", "time_range": {"first": START, "last": last}, "oracle_by_day": oracles}
    return json.loads((out / MANIFEST).read_text())


def simulate_days(config: SyntheticConfig) -> Iterator[Day]:
    """Yields the days in order. The chunks of a day must be taken before the next day."""
    assert config.days is not None
    rng = np.random.default_rng(config.seed)
    world = make_world(config, rng)
    memory = new_memory(config, world, rng)
    borders = [pages(config.examples * day / config.days) for day in range(config.days + 1)]
    for day, (begin, end) in enumerate(pairwise(borders)):
        born = 0
        if day:
            world, born = change(config, world, memory, rng)
        start = START + day * _SECONDS
        yield Day(day_of(start), world, born, _requests(config, world, memory, begin, end, start, rng))


def _requests(
    config: SyntheticConfig, world: World, memory: Memory, begin: int, end: int, start: int, rng: np.random.Generator
) -> Iterator[Requests]:
    """Yields the requests with the numbers `begin` to `end`, spread evenly over the day that begins at `start`, at most CHUNK at once."""
    done, clock, gap = begin, start, _SECONDS / (end - begin)
    while done < end:
        user = draw_users(config, world, end - done, rng)
        number = np.arange(done, done + len(user))
        spread = np.sort(rng.random(len(user))) * len(user)  # within the part of the day that belongs to these requests
        timestamp = np.maximum(start + ((done - begin + spread) * gap).astype(np.int64), clock)
        done, clock = done + len(user), min(timestamp[-1] + 1, start + _SECONDS - 1)
        yield serve(config, world, memory, number, user, timestamp, rng)


def change(config: SyntheticConfig, world: World, memory: Memory, rng: np.random.Generator) -> tuple[World, int]:
    """Returns the world of the next day, and how many items are born; changes the interests in `memory` in place."""
    born = round(config.drift * len(world.shelf))
    place = rng.choice(len(world.shelf), born, replace=False)
    old, shelf = world.shelf[place], world.shelf.copy()
    shelf[place] = len(world.category) + np.arange(born)
    moved = rng.random(memory.wanted.shape) < config.drift
    memory.wanted[moved] = rng.integers(config.category_count, size=int(moved.sum()))
    taste, appeal = _moved(world.taste, config.drift, USER_TASTE, rng), np.append(world.appeal, world.appeal[old])
    appeal[shelf] = _moved(appeal[shelf], config.drift, ITEM_APPEAL, rng)
    category = np.append(world.category, world.category[old])
    vector = np.concatenate((world.vector, near(world.centre[world.category[old]], rng).astype(np.float32)))
    return world._replace(taste=taste, appeal=appeal, category=category, vector=vector, alive=np.sort(shelf), shelf=shelf), born


def _moved(x: np.ndarray, drift: float, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Moves values so that they keep their spread: the standard deviation of the distribution that they are drawn from."""
    keep = 1 - drift
    return keep * x + np.sqrt(1 - keep**2) * spread * rng.standard_normal(len(x))
