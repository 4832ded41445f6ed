"""What is written about synthetic requests: impressions, the vectors of the items, and the metrics of the true probabilities."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from components.base.scratch_folder import scratch_folder
from components.evaluation.metrics.gauc import gauc
from pipeline.datasets.layout import list_column, scalar_column
from pipeline.datasets.synthetic_ads import brand_of
from pipeline.datasets.synthetic_config import PAGE
from pipeline.datasets.synthetic_conversions import CLICK, PURCHASE
from pipeline.datasets.synthetic_world import Requests, World


def to_batch(world: World, requests: Requests) -> pa.RecordBatch:
    """Returns one row for each impression."""
    event_item = np.repeat(requests.event_item, PAGE, axis=0)  # (R·PAGE, H)
    known = event_item >= 0
    events = event_item[known]
    offsets = np.append(0, np.cumsum(known.sum(1)))
    columns = {
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
    if requests.price is not None and requests.event_price is not None:
        columns["candidate_price"] = scalar_column(requests.price.ravel())
        columns["candidate_brand"] = scalar_column(brand_of(requests.item).ravel())
        columns["historical_prices"] = list_column(np.repeat(requests.event_price, PAGE, axis=0)[known], offsets)
    if requests.purchase is not None:
        columns[PURCHASE] = scalar_column(requests.purchase.ravel())
    return pa.RecordBatch.from_pydict(columns)


def judged_columns(requests: Requests, rows: int) -> list[np.ndarray]:
    """Returns user, then probability and label of each label, of the first impressions of some requests, (rows,) each."""
    columns = (
        np.repeat(requests.user, PAGE),
        requests.probability,
        requests.label,
        requests.purchase_probability,
        requests.purchase,
    )
    return [column.ravel()[:rows] for column in columns if column is not None]


def oracle_facts(judged: list[np.ndarray]) -> dict[str, Any]:
    """Returns what a manifest says about the true probabilities: `oracle` is that of a click; with purchases, there is one by label, too.

    Args:
        judged: As from `judged_columns`, of all impressions.
    """
    user, *others = judged
    by_label = {name: oracle_metrics(user, *others[2 * i : 2 * i + 2]) for i, name in enumerate((CLICK, PURCHASE)) if others[2 * i :]}
    return {"oracle": by_label[CLICK], **({"oracle_by_label": by_label} if len(by_label) > 1 else {})}


def oracle_metrics(user: np.ndarray, probability: np.ndarray, label: np.ndarray) -> dict[str, float | None]:
    """Returns AUC, GAUC and log loss of (N,) probabilities; AUC and GAUC are None where they are undefined."""
    log_loss = -np.log(np.where(label == 1, probability, 1 - probability)).mean()
    return {
        "auc": gauc(np.zeros(len(user)), probability, label),  # as if all were of one user
        "gauc": gauc(user, probability, label),
        "log_loss": float(log_loss),
    }


def write_item_features(path: Path, world: World) -> None:
    """Writes the ids and the vectors of all items to an .npz file.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        with scratch_folder(path.absolute().parent) as folder:
            np.savez(folder / "items.npz", ids=np.arange(len(world.vector)), vectors=world.vector)
            os.replace(folder / "items.npz", path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another file with --item-features.") from error
