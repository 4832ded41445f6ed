"""Writes synthetic impressions that a model can learn from, with a known ceiling (see `synthetic_world`)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.layout import SPLITS, DatasetWriter
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_conversions import Conversions
from pipeline.datasets.synthetic_days import generate_days
from pipeline.datasets.synthetic_rows import judged_columns, oracle_facts, to_batch, write_item_features
from pipeline.datasets.synthetic_world import Requests, make_world, pages, simulate

CUTS = (0.8, 0.9)  # validation and eval begin at these shares of the impressions
_RULES = {
    "label": "a Bernoulli draw of the known click probability",
    "history": "the user's clicks before the request, oldest first, the most recent {history}",
    "split": "in time, at request boundaries: the first 80 % of the impressions are train, the next 10 % validation, the rest eval",
}
_PURCHASE = "of a click, a Bernoulli draw of the known probability of a purchase; 0 without a click"


def generate(config: SyntheticConfig, out: Path, item_features: Path | None = None, command: str = "") -> dict[str, Any]:
    """Writes a synthetic data set, of splits or of days. The same configuration gives the same bytes.

    Args:
        config: Sizes and seed.
        out: Folder to make; it must be new or empty.
        item_features: An .npz file to write too: `ids` (items,) int64 and `vectors` (items, VECTOR_SIZE) float32, the latent vectors.
        command: What the user typed, for the manifest.

    Returns:
        The manifest as written to `out/manifest.json`. Its `oracle` holds the metrics of the true probabilities on the eval split; they are
        null where they are undefined (one class only). With conversions, `oracle_by_label` holds those of both labels. With days, each day
        has a manifest with its own oracle.

    Raises:
        InputError: `out` or `item_features` cannot be written.
    """
    if config.days:
        return generate_days(config, out, item_features, command)
    rng = np.random.default_rng(config.seed)
    world = make_world(config, rng)
    clicks = dict.fromkeys(SPLITS, 0)
    times: dict[str, dict[str, int]] = {}
    judged: list[list[np.ndarray]] = []  # of the eval split
    chunks = simulate(config, world, rng)
    if config.conversions:
        conversions = Conversions(config)
        chunks = (conversions.draw(world, chunk) for chunk in chunks)
    with DatasetWriter(out) as writer:
        for split, requests, rows in _in_splits(config, chunks):
            writer.write(split, to_batch(world, requests).slice(0, rows))
            clicks[split] += int(requests.label.ravel()[:rows].sum())
            times.setdefault(split, {"first": int(requests.timestamp[0])})["last"] = int(requests.timestamp[-1])
            if split == "eval":
                judged.append(judged_columns(requests, rows))
        if item_features is not None:
            write_item_features(item_features, world)
        writer.manifest = {
            "source": "synthetic",
            "command": command,
            "seed": config.seed,
            "config": {**config.model_dump(mode="json"), "categories": config.category_count},
            "split": "time",
            "rules": {
                **_RULES,
                "history": _RULES["history"].format(history=config.history),
                **({"purchase": _PURCHASE} if config.conversions else {}),
            },
            "time_range": {"first": times["train"]["first"], "last": times["eval"]["last"]},
            "split_time_ranges": times,
            "base_rate": {split: clicks[split] / writer.counts[split] for split in SPLITS},
            **oracle_facts([np.concatenate(column) for column in zip(*judged, strict=True)]),
        }
    return json.loads((out / MANIFEST).read_text())


def _in_splits(config: SyntheticConfig, chunks: Iterator[Requests]) -> Iterator[tuple[str, Requests, int]]:
    """Cuts chunks where a split ends.

    Yields:
        The split, its requests, and how many of their impressions belong to the data set: the last page may be cut.
    """
    borders = [0, *(pages(cut * config.examples) for cut in CUTS), pages(config.examples)]
    for chunk in chunks:
        for split, low, high in zip(SPLITS, borders[:-1], borders[1:], strict=True):
            inside = (chunk.number >= low) & (chunk.number < high)
            if inside.any():
                part = chunk.where(inside)
                yield split, part, min(part.item.size, config.examples - PAGE * int(part.number[0]))
