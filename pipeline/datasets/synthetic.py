"""Writes synthetic impressions that a model can learn from, with a known ceiling (see `synthetic_world`)."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from components.base.scratch_folder import scratch_folder
from components.evaluation.metrics.gauc import gauc
from pipeline.datasets.layout import SPLITS, DatasetWriter, list_column, scalar_column
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.synthetic_config import PAGE, SyntheticConfig
from pipeline.datasets.synthetic_world import Requests, World, make_world, pages, simulate

CUTS = (0.8, 0.9)  # validation and eval begin at these shares of the impressions
_RULES = {
    "label": "a Bernoulli draw of the known click probability",
    "history": "the user's clicks before the request, oldest first, the most recent {history}",
    "split": "in time, at request boundaries: the first 80 % of the impressions are train, the next 10 % validation, the rest eval",
}


def generate(config: SyntheticConfig, out: Path, item_features: Path | None = None, command: str = "") -> dict[str, Any]:
    """Writes a synthetic data set. The same configuration gives the same bytes.

    Args:
        config: Sizes and seed.
        out: Folder to make; it must be new or empty.
        item_features: An .npz file to write too: `ids` (items,) int64 and `vectors` (items, VECTOR_SIZE) float32, the latent vectors.
        command: What the user typed, for the manifest.

    Returns:
        The manifest as written to `out/manifest.json`. Its `oracle` holds the metrics of the true probabilities on the eval split; they are
        null where they are undefined (one class only).

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
                part = Requests(*(column[inside] for column in chunk))
                yield split, part, min(part.item.size, config.examples - PAGE * int(part.number[0]))


def to_batch(world: World, requests: Requests) -> pa.RecordBatch:
    """Returns one row for each impression."""
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


def oracle_metrics(user: np.ndarray, probability: np.ndarray, label: np.ndarray) -> dict[str, float | None]:
    """Returns AUC, GAUC and log loss of (N,) probabilities; AUC and GAUC are None where they are undefined."""
    log_loss = -np.log(np.where(label == 1, probability, 1 - probability)).mean()
    return {
        "auc": gauc(np.zeros(len(user)), probability, label),  # as if all were of one user
        "gauc": gauc(user, probability, label),
        "log_loss": float(log_loss),
    }


def _write_item_features(path: Path, world: World) -> None:
    try:
        with scratch_folder(path.absolute().parent) as folder:
            np.savez(folder / "items.npz", ids=np.arange(len(world.vector)), vectors=world.vector)
            os.replace(folder / "items.npz", path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another file with --item-features.") from error
