"""Reads the loss and the AUC by epoch from the TensorBoard logs of a training."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

_SERIES = ("loss", "auc")
_PARTS = ("train", "validation")  # the folders that Keras writes


def read_training_curves(model_run: Path) -> dict[str, Any] | None:
    """Reads the logs of Keras' TensorBoard callback.

    Args:
        model_run: The folder of the logs, Trainer's `model_run`.

    Returns:
        `epochs`: the numbers of the epochs, from 1. `series`: the value of each epoch by name (`loss`, `auc`) and part (`train`,
        `validation`); None where it is not known. Values of `train` are means over the epoch, with dropout. None if there are no logs.
    """
    logs = {part: _read_scalars(model_run / part) for part in _PARTS}
    steps = sorted({step for scalars in logs.values() for values in scalars.values() for step in values})
    if not steps:
        return None
    return {
        "epochs": [step + 1 for step in steps],
        "series": {name: {part: [logs[part][name].get(step) for step in steps] for part in _PARTS} for name in _SERIES},
    }


def _read_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Returns the values of each series by step, from all event files of a folder."""
    events = event_accumulator.EventAccumulator(str(folder), size_guidance={event_accumulator.TENSORS: 0})  # 0: all
    if folder.is_dir():
        events.Reload()
    found = events.Tags()[event_accumulator.TENSORS]
    tags = {name: f"epoch_{name}" for name in _SERIES}
    return {
        name: {event.step: float(tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)} if tag in found else {}
        for name, tag in tags.items()
    }
