"""`python -m benchmarks.speed.split_table_size --rows N --workers W`: the memory of each worker that has a part of a large table.

It makes the table of `benchmarks.speed.table_size` in W processes, which are connected as the workers of a training are, and trains it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.speed.process_cost import cpu_seconds, memory_mb, peak_mb, reset_peak
from benchmarks.speed.table_size import BATCH, batches, settings
from components.base.errors import InputError
from pipeline.console import Console
from pipeline.terminal import say

_STEPS, _WARM_UP = 256, 64
_ITEMS = 5  # rows of the other table
_STAGES = {
    "part": "its part",
    "steps": "steps",
    "checkpoint": "checkpoint",
    "best": "best weights read",
    "whole": "put together",
    "keras": "din.keras",
}


def measure_worker(rows: int, dim: int, workers: int, worker: int, folder: Path) -> dict[str, float]:
    """Trains as one of the workers.

    Returns:
        The peak of memory in each stage, in bytes, without what was taken before; and `step`, the CPU seconds of a step.
    """
    import keras

    from din_trainer.config import DINConfig
    from din_trainer.exchange.collectives import together
    from din_trainer.exchange.mesh import Mesh
    from din_trainer.keras_pins import saved_by_disk
    from din_trainer.models.make_model import make_model
    from din_trainer.training.checkpoints import Checkpoints
    from din_trainer.training.compile_model import compile_model
    from din_trainer.training.split_tables import whole_model
    from din_trainer.training.workers.end_of_epoch import EndOfEpoch
    from din_trainer.training.workers.shared_step import SharedStep

    config = DINConfig.model_validate({**settings(rows, dim), "training": {"workers": workers, "split_rows": rows}})
    measured: dict[str, float] = {}
    with together(Mesh(worker, [str(folder / str(number)) for number in range(workers)], b"benchmark")) as connected:
        before = memory_mb()

        def stage(name: str) -> None:
            measured[name] = 1e6 * (peak_mb() - before)
            reset_peak()

        reset_peak()
        model = make_model(config, {"item": _ITEMS})
        compile_model(model)
        model.optimizer.build(model.trainable_variables)
        model.train_step = SharedStep(model, connected)
        stage("part")
        for steps in (_WARM_UP, _STEPS):
            begin = cpu_seconds()
            data = batches(rows, steps, BATCH // workers, worker)
            keras.Model.fit(model, data, callbacks=[EndOfEpoch()], verbose=0)
            measured["step"] = (cpu_seconds() - begin) / steps
        stage("steps")
        checkpoints = Checkpoints(model, folder / "checkpoints")
        checkpoints.save(1)
        stage("checkpoint")
        checkpoints.end_epoch(0.5)
        checkpoints.restore_best()
        stage("best")
        whole = whole_model(model, connected, wanted=worker == 0)
        stage("whole")
        if worker == 0:
            with saved_by_disk():
                whole.save(folder / "din.keras")
        stage("keras")
    return measured


def _measure(rows: int, dim: int, workers: int, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.speed.split_table_size", "--rows", rows, "--dim", dim, "--workers", workers]
    processes = [
        subprocess.Popen([*map(str, command), "--worker", str(worker), "--folder", folder], stdout=subprocess.PIPE, text=True)
        for worker in range(workers)
    ]
    printed = [process.communicate()[0] for process in processes]
    failed = [worker for worker, process in enumerate(processes) if process.returncode]
    if failed:
        raise InputError(f"Worker {failed[0]} ended with exit status {processes[failed[0]].returncode}.")
    return [json.loads(line) for line in printed]


def _show(rows: int, dim: int, workers: list[dict[str, Any]]) -> None:
    numbers = rows * dim
    table = Table("stage", box=None, pad_edge=False)
    for worker in range(len(workers)):
        table.add_column(f"worker {worker}, GB", justify="right")
    for name, stage in _STAGES.items():
        table.add_row(stage, *(f"{measured[name] / 1e9:.2f} ({measured[name] / numbers:.1f})" for measured in workers))
    table.add_row("CPU ms a step", *(f"{1e3 * measured['step']:.1f}" for measured in workers))
    say(f"{rows:,} rows of {dim} over {len(workers)} workers: peaks of memory, in brackets as bytes / (rows × dim of the whole table).")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000, help="rows of the table (default: 50,000,000)")
    parser.add_argument("--dim", type=int, default=4, help="size of a row (default: 4)")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the table (default: 2)")
    parser.add_argument("--folder", type=Path, help="where an own folder is made for what is written (default: that of temporary files)")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker is not None:
        say(json.dumps(measure_worker(asked.rows, asked.dim, asked.workers, asked.worker, asked.folder)))
    else:
        with tempfile.TemporaryDirectory(prefix="din-", dir=asked.folder) as made:
            _show(asked.rows, asked.dim, _measure(asked.rows, asked.dim, asked.workers, Path(made)))
