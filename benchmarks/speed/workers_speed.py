"""`python -m benchmarks.speed.workers_speed`: what a training step costs with one worker and with two, by batch size and by table size.

The batches are random impressions in memory. It shows what a step costs all workers together in CPU, since cores may be shared.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.console import Console
from pipeline.terminal import say

_SIZES = [(256, 1000), (1024, 1000), (4096, 1000), (256, 1_000_000)]  # batch size, ids
_HISTORY, _EVENTS = 50, 20  # places for events, events
_STEPS, _WARM_UP = 64, 32


def _batches(ids: int, size: int, steps: int, worker: int, workers: int) -> Any:
    """A worker's rows of batches, every N-th one, all of which are in memory."""
    import numpy as np
    import tensorflow as tf

    from din_trainer.training.workers.shared_split import PLACES

    rng = np.random.default_rng(0)
    kept = []
    for _ in range(8):
        histories = np.zeros((2, size, _HISTORY), np.int64)
        histories[0, :, :_EVENTS] = rng.integers(1, ids, (size, _EVENTS))
        histories[1, :, :_EVENTS] = rng.integers(1, 100, (size, _EVENTS))
        features = {
            "user_id": rng.integers(1, ids, size),
            "candidate_item_id": rng.integers(1, ids, size),
            "candidate_category_id": rng.integers(1, 100, size),
            "historical_item_ids": histories[0],
            "historical_category_ids": histories[1],
            PLACES: np.arange(size),
        }
        labels = rng.integers(0, 2, size)
        kept.append(({name: values[worker::workers] for name, values in features.items()}, labels[worker::workers]))
    columns = tf.nest.map_structure(lambda *parts: np.stack(parts), *kept)
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(columns).repeat(steps // 8).prefetch(8).with_options(options)


def _work(folder: Path, worker: int, workers: int) -> None:
    """Trains as one of the workers, and writes the seconds of a step, and the CPU seconds, for each size."""
    from contextlib import ExitStack

    import keras

    from din_trainer.config import DINConfig
    from din_trainer.exchange.collectives import together
    from din_trainer.exchange.mesh import Mesh
    from din_trainer.models.make_model import make_model
    from din_trainer.training.compile_model import compile_model
    from din_trainer.training.workers.shared_split import PLACES
    from din_trainer.training.workers.shared_step import SharedStep

    results = []
    with ExitStack() as stack:
        group = None
        if workers > 1:
            addresses = [str(folder / f"{number}.socket") for number in range(workers)]
            group = stack.enter_context(together(Mesh(worker, addresses, b"benchmark")))
        for size, ids in _SIZES:
            keras.utils.set_random_seed(0)
            model = make_model(DINConfig(), {"item": ids, "category": 100, "user_id": ids})
            compile_model(model)
            if group:
                model.train_step = SharedStep(model, group)

            def fit(steps: int, model: Any = model, size: int = size, ids: int = ids) -> None:
                batches = _batches(ids, size, steps, worker, workers)
                if group is None:
                    batches = batches.map(lambda features, label: ({name: x for name, x in features.items() if name != PLACES}, label))
                keras.Model.fit(model, batches, verbose=0)

            fit(_WARM_UP)
            if group:
                group.gather(0)  # all begin together
            wall, cpu = time.perf_counter(), time.process_time()
            fit(_STEPS)
            results.append([(time.perf_counter() - wall) / _STEPS, (time.process_time() - cpu) / _STEPS])
    (folder / f"{workers}-{worker}.json").write_text(json.dumps(results))


def _run(workers: int) -> list[list[list[float]]]:
    """The results of each worker."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.speed.workers_speed", folder]
        environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        processes = [
            subprocess.Popen([*command, str(worker), str(workers)], env=environment, stderr=subprocess.DEVNULL) for worker in range(workers)
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise SystemExit("a worker failed: run it alone to see why")
        return [json.loads((Path(folder) / f"{workers}-{worker}.json").read_text()) for worker in range(workers)]


def main() -> None:
    """Runs one worker and two, and prints the table."""
    table = Table("batch", "ids", "workers", "CPU of a step, all workers", "of one worker", "impressions/s")
    of_workers = {workers: _run(workers) for workers in (1, 2)}
    for number, (size, ids) in enumerate(_SIZES):
        for workers, results in of_workers.items():
            wall, cpu = max(result[number][0] for result in results), sum(result[number][1] for result in results)
            cells = [f"{size:,}", f"{ids:,}", str(workers), f"{cpu * 1000:.1f} ms", f"{cpu / workers * 1000:.1f} ms", f"{size / wall:,.0f}"]
            table.add_row(*cells)
    say(f"{_STEPS} steps each; {_EVENTS} events an impression; {os.cpu_count()} cores")
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
