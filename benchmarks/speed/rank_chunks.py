"""`python -m benchmarks.speed.rank_chunks`: how many pairs of candidate and event `rank` should score at once.

Exports the network of `din bench serve` once for each number of pairs, and times `rank` with 500 candidates in TensorFlow's C++ loader, on
one thread and one core. Few pairs pay for more steps of the loop, many leave the core's cache. `PAIRS_AT_ONCE` in
`din_trainer/layers/candidate_attention.py` is what this shows.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.workers.our_exports import main as make_exports
from benchmarks.speed.rounds import measure_in_rounds
from benchmarks.speed.serving_contestants import THREADS, pin
from benchmarks.speed.serving_exports import IDS, RANKED_HISTORIES
from benchmarks.speed.serving_load import ranking_requests
from benchmarks.speed.serving_speed import CANDIDATES
from benchmarks.speed.speed_tables import labelled_table
from components.serving.model.loaded_model import LoadedModel
from din_trainer.layers import candidate_attention
from pipeline.console import Console
from pipeline.terminal import output_to

PAIRS = (500, 1_000, 2_000, 4_000, 8_000, 100_000)
REPEAT = 30


def measure(console: Console) -> dict[int, dict[int, float]]:
    """Returns the milliseconds of a request, by the number of pairs and the history: the median of a round, the best of all rounds."""
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        for pairs in PAIRS:
            candidate_attention.PAIRS_AT_ONCE = pairs
            make_exports(Path(folder, str(pairs)), list(RANKED_HISTORIES), IDS)
        return {
            pairs: {history: _best(Path(folder, str(pairs), str(history)), history, console) for history in RANKED_HISTORIES}
            for pairs in PAIRS
        }


def _best(saved_model: Path, history: int, console: Console) -> float:
    with LoadedModel(saved_model, THREADS) as model:
        pin(model.pid)
        request = ranking_requests(CANDIDATES, history)["rank"]
        rounds = measure_in_rounds({"rank": partial(model.time, "rank", request, REPEAT)}, console)["rank"]
    return min(float(np.median(seconds)) for seconds in rounds) * 1e3


def main() -> int:
    """Measures and prints a table. Returns the exit status."""
    with output_to(Path(os.devnull)) as terminal:
        found = measure(Console(file=terminal, quiet=True))
        cells = {f"{pairs:,}": [f"{by_history[history]:.2f}" for history in RANKED_HISTORIES] for pairs, by_history in found.items()}
        title = f"ms for a user's {CANDIDATES} candidates by the events of the history, by the pairs at once"
        Console(file=terminal).print(labelled_table(title, [str(history) for history in RANKED_HISTORIES], cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
