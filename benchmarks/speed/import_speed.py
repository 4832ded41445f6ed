"""`din bench import`: how fast an import is, whether its memory grows with the data, and what the simple way of writing costs beside it.

It imports sequences of 10,000 users and then of 100,000 users of the same kind. Each measurement is made in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.speed.process_cost import Costs, measured
from components.base.errors import InputError
from pipeline.console import Console
from pipeline.terminal import say

USERS = (10_000, 100_000)  # with 5 to 49 clicks each
ITEMS = 100_000
BY_HAND = 100_000  # impressions that are written the simple way
_FIRST_ID = 1_000_000  # lines are then as long as with real ids

Measurement = dict[str, float]


def write_sequences(file: Path, users: int) -> None:
    """Writes the clicks of each user as a line. The popularity of items has a long tail."""
    rng = np.random.default_rng(0)
    with open(file, "w") as lines:
        for user in range(users):
            items = (rng.pareto(1.1, rng.integers(5, 50)) * 50).astype(int) % ITEMS + _FIRST_ID
            lines.write(" ".join(map(str, (_FIRST_ID + user, *items))) + "\n")


def measure_import(file: Path, out: Path) -> Measurement:
    """Imports in this process, with a negative for each click. Seconds of the clock and of the CPU, memory in MB (10⁶ B)."""
    from pipeline.datasets.importing.import_source import import_source
    from pipeline.datasets.sources.sequences import Sequences

    costs: Costs = {}
    begin = time.perf_counter()
    with measured(costs, "import"):
        manifest = import_source(Sequences(file), out)
    return {
        "rows": manifest["rows"]["read"],
        "impressions": sum(manifest["examples"].values()),
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": costs["import"]["cpu"],
        "peak_mb": costs["import"]["peak_mb"],
    }


def measure_by_hand(data: Path, out: Path) -> Measurement:
    """Writes some impressions of a data set in this process as TensorFlow's guide does: one tf.train.Example after the other."""
    import tensorflow as tf

    from components.base.tfrecord import read_batches
    from pipeline.datasets.layout import split_files

    batches = (batch for file in split_files(data, "train") for batch in read_batches(file))
    rows = list(islice((row for batch in batches for row in batch.to_pylist()), BY_HAND))
    costs: Costs = {}
    begin = time.perf_counter()
    with measured(costs, "write"), tf.io.TFRecordWriter(str(out), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in rows:
            features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return {"impressions": len(rows), "seconds": time.perf_counter() - begin, "cpu_seconds": costs["write"]["cpu"]}


def main(as_json: bool) -> int:
    """Measures each number of users, and the simple way on the data of the first; prints a table, or JSON. Returns the exit status."""
    console = Console(quiet=as_json)
    ours = []
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        place = Path(folder)
        for users in USERS:
            write_sequences(place / f"{users}.txt", users)
            ours.append(_in_a_process("import", place / f"{users}.txt", place / str(users)))
            console.print(f"  {users:,} users measured", highlight=False)
        by_hand = _in_a_process("by-hand", place / str(USERS[0]), place / "by-hand.tfrecord.gz")
    result = {"ours": ours, "peers": {"by_hand": by_hand}, "ratios": ratios(ours, by_hand)}
    if as_json:
        say(json.dumps(result))
    else:
        _print(result, console)
    return 0


def ratios(ours: list[Measurement], by_hand: Measurement) -> dict[str, float]:
    """The CPU seconds of a whole import over those of writing alone by hand, for as many impressions; and growth for ten times the rows."""
    small, large = ours

    def cost(measurement: Measurement) -> float:
        return measurement["cpu_seconds"] / measurement["impressions"]

    return {
        "import_vs_writing_by_hand": cost(large) / cost(by_hand),
        "growth": cost(large) / cost(small),
        "peak_growth": large["peak_mb"] / small["peak_mb"],
    }


def _in_a_process(what: str, source: Path, out: Path) -> Measurement:
    command = [sys.executable, "-m", "benchmarks.speed.import_speed", what, str(source), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"the measurement of {source.name} failed: {done.stderr.strip().splitlines()[-1]}")
    measurement: Measurement = json.loads(done.stdout.splitlines()[-1])
    return measurement


def _print(result: dict[str, Any], console: Console) -> None:
    table = Table("what", "rows", "impressions", "impressions by CPU second", "peak of memory")
    for what, row in (*(("import", row) for row in result["ours"]), ("writing alone, by hand", result["peers"]["by_hand"])):
        rows, peak = f"{row['rows']:,}" if "rows" in row else "", f"{row['peak_mb']:,.0f} MB" if "peak_mb" in row else ""
        table.add_row(what, rows, f"{row['impressions']:,}", f"{row['impressions'] / row['cpu_seconds']:,.0f}", peak)
    console.print(table)
    for name, value in result["ratios"].items():
        console.print(f"{name}: {value:.2f}", highlight=False)


if __name__ == "__main__":
    measure = {"import": measure_import, "by-hand": measure_by_hand}[sys.argv[1]]
    say(json.dumps(measure(Path(sys.argv[2]), Path(sys.argv[3]))))
