"""`python -m benchmarks.speed.batch_parts`: how fast we train if each batch is cut into 1, 2 or 4 parts. It decides what `PARTS` is."""

import contextlib
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.worker_process import WORKERS, Worker
from benchmarks.speed.speed_tables import labelled_table
from benchmarks.speed.training_speed import NOTEBOOK, TRAIN_256, TRAIN_1024, best, make_data, measure_rates
from pipeline.console import Console

_COMPARED = (1, 2, 4)


def main() -> None:
    """Measures in alternating rounds, at the notebook's sizes, and prints the best rates."""
    console = Console(quiet=False)
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder, contextlib.ExitStack() as started:
        data = Path(folder) / "data.npz"
        make_data(**NOTEBOOK, file=data)
        workers = {}
        for parts in _COMPARED:
            worker = Worker(f"{parts} parts", [sys.executable, str(WORKERS / "ours_din.py"), str(data), f"--parts={parts}"])
            workers[f"parts: {parts}"] = started.enter_context(contextlib.closing(worker))
        rates = best(measure_rates(workers, [TRAIN_256, TRAIN_1024], console))
    cells = {name: [f"{rate:,.0f}" for rate in row.values()] for name, row in rates.items()}
    console.print(labelled_table("rows a second", ["train, batch 256", "train, batch 1,024"], cells))


if __name__ == "__main__":
    main()
