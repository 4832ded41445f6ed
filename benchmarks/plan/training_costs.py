"""Measures an epoch of training with other batches, sizes and tables: `python -m benchmarks.plan.training_costs DATA WORKSPACE SETTING…`.

The data and what Transform made of it are those of a measured run. The last line is a JSON list, an entry for each variant: its name,
its settings, and the CPU seconds of its second epoch with validation and checkpoint.
"""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.plan.measured_run import Measured
from benchmarks.speed.process_cost import cpu_seconds
from components.base.errors import InputError
from din_trainer.training.threads import share_cores
from pipeline.terminal import say

Variant = dict[str, Any]


class Training(NamedTuple):
    """A measured run, and the trainings of variants on its data."""

    run: Measured
    variants: list[Variant]


VARIANTS: dict[str, list[str]] = {
    "as the run": [],
    "batches of 128": ["training.batch_size=128"],
    "embeddings of 64": [f"features.{name}.dim=64" for name in ("behaviours.item", "behaviours.category", "user.user_id")],
    "wide layers": ["model.hidden=[512,256,128]", "model.attention_hidden=[160,80]"],
    "a table of 2,000,000 rows": ["features.user.user_id.kind=hashed", "features.user.user_id.buckets=2000000"],
}


class _EpochEnds(logging.Handler):
    """Notes the CPU time at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "validation AUC" in record.getMessage():
            self.seconds.append(cpu_seconds())


def measure_training(run: Measured, settings: list[str], variants: list[str]) -> Training:
    """Trains on the data of a measured run in a process of its own.

    Raises:
        InputError: It failed.
    """
    command = [sys.executable, "-m", "benchmarks.plan.training_costs", str(run.data), str(run.workspace), json.dumps(settings), *variants]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise InputError(f"the training failed: {result.stderr.strip().splitlines()[-1]}")
    return Training(run, json.loads(result.stdout.splitlines()[-1]))


def _train(data: Path, workspace: Path, settings: list[str]) -> float:
    import tensorflow_transform as tft

    from din_trainer.training.fit import fit
    from din_trainer.training.progress_log import progress
    from pipeline.configuration.load_config import load_config
    from pipeline.datasets.layout import split_files

    graph = tft.TFTransformOutput(str(next(workspace.glob("artifacts/*/Transform/transform_graph/*"))))
    train, validation = ([str(file) for file in split_files(data, split)] for split in ("train", "validation"))
    ends = _EpochEnds()
    progress.addHandler(ends)
    progress.setLevel(logging.INFO)
    fit(load_config(None, [*settings, "training.epochs=2"]).din, graph, train, validation)
    progress.removeHandler(ends)
    first, second = ends.seconds
    return second - first


def main(data: str, workspace: str, settings: str, *variants: str) -> None:
    """Measures some variants, and prints the list."""
    found = []
    for name in variants:
        changed = [*json.loads(settings), *VARIANTS[name]]
        found.append({"name": name, "settings": changed, "seconds": _train(Path(data), Path(workspace), changed)})
    say(json.dumps(found))


if __name__ == "__main__":
    share_cores()
    main(*sys.argv[1:])
