"""Runs the pipeline on synthetic impressions and measures each step: what the rates of `din plan` are fitted to, and checked against."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc

from benchmarks.disk_use import disk_use
from benchmarks.speed.process_cost import cpu_seconds
from components.base.errors import InputError
from components.base.tfrecord import read_batches
from pipeline.configuration.load_config import load_config
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.plan.workload import Workload, table_rows

_JUDGED = (0, 3)  # exit statuses of a run whose model was judged; one of few impressions may be refused
_STEPS = Path(__file__).parents[1] / "speed" / "run_steps.py"


class Asked(NamedTuple):
    """A run to measure: how many impressions, the most events of a history, and further settings."""

    impressions: int
    history: int
    epochs: int = 1
    settings: tuple[str, ...] = ()

    @property
    def all_settings(self) -> list[str]:
        fixed = ["training.patience=0", "training.batch_size=512", f"training.epochs={self.epochs}"]
        return [*fixed, f"features.history_length={self.history}", *self.settings]

    def __str__(self) -> str:
        return f"{self.impressions:,} impressions, histories of up to {self.history} events"


class Measured(NamedTuple):
    """What a run took.

    Attributes:
        work: Its work.
        steps: CPU seconds (`cpu`), seconds (`wall`) and peak memory (`peak_mb`) of each step.
        bytes: On the disk, by what takes them.
        made: CPU seconds of making the data.
        data: The data set.
        workspace: The workspace of the run.
    """

    work: Workload
    steps: dict[str, dict[str, float]]
    bytes: dict[str, float]
    made: float
    data: Path
    workspace: Path


def measure_run(asked: Asked, folder: Path) -> Measured:
    """Makes impressions and runs the pipeline on them, each in a process of its own.

    Raises:
        InputError: The run failed.
    """
    data, workspace, steps = folder / "data", folder / "workspace", folder / "steps.json"
    begin = cpu_seconds()
    generate(_world(asked), data)
    made = cpu_seconds() - begin
    settings = [part for setting in asked.all_settings for part in ("--set", setting)]
    command = [sys.executable, "-P", str(_STEPS), str(steps), "run", "--data", str(data), "--workspace", str(workspace), *settings]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(_STEPS.parents[2])})
    if result.returncode not in _JUDGED:
        raise InputError(f"the run of {asked} ended with exit status {result.returncode}: {result.stderr.strip() or result.stdout.strip()}")
    return Measured(workload(asked, data), json.loads(steps.read_text()), _bytes(data, workspace), made, data, workspace)


def workload(asked: Asked, data: Path) -> Workload:
    """The work of a run on a data set, whose histories are counted."""
    config = load_config(None, asked.all_settings)
    return Workload(config, asked.impressions, mean_history(data), table_rows(config, asked.impressions, {}))


def _world(asked: Asked) -> SyntheticConfig:
    """As many users and items as there are in proportion: histories are long, since a user has 500 impressions."""
    users, items = max(asked.impressions // 500, 20), max(asked.impressions // 200, 500)
    return SyntheticConfig(examples=asked.impressions, users=users, items=items, history=asked.history)


def mean_history(data: Path) -> float:
    lengths = rows = 0
    for split in SPLITS:
        for file in split_files(data, split):
            for batch in read_batches(file):
                lengths += pc.sum(pc.list_value_length(batch.column("historical_item_ids"))).as_py() or 0
                rows += batch.num_rows
    return lengths / rows


def _bytes(data: Path, workspace: Path) -> dict[str, float]:
    """Bytes of the shards, of eval/ with its columns, and of all that does not grow with the data."""
    shards, sliced = sum(disk_use(data / split) for split in SPLITS), sum(map(disk_use, workspace.glob("artifacts/*/SliceColumns")))
    copied = sum(map(disk_use, workspace.glob("artifacts/*/ImportExampleGen")))
    return {"data": shards, "sliced": sliced, "run": disk_use(workspace) - copied - sliced}
