"""What is written about synthetic requests: impressions, the vectors of the items, and the metrics of the true probabilities."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from components.base.scratch_folder import scratch_folder
from components.evaluation.metrics.gauc import gauc
from pipeline.datasets.layout import list_column, scalar_column
from pipeline.datasets.synthetic_config import PAGE
from pipeline.datasets.synthetic_world import Requests, World


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


def judged_columns(requests: Requests, rows: int) -> list[np.ndarray]:
    """Returns user, probability and label of the first impressions of some requests, (rows,) each."""
    return [column.ravel()[:rows] for column in (np.repeat(requests.user, PAGE), requests.probability, requests.label)]


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
