"""Measures whether the memory of an import grows with the data: `python -m benchmarks.speed.import_speed`.

It imports sequences of 10,000 users and then of 100,000 users of the same kind, each time in a process of its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from pipeline.console import Console

USERS = (10_000, 100_000)  # with 5 to 49 clicks each
ITEMS = 100_000
_FIRST_ID = 1_000_000  # lines are then as long as with real ids


def write_sequences(file: Path, users: int) -> None:
    """Writes the clicks of each user as a line. The popularity of items has a long tail."""
    rng = np.random.default_rng(0)
    with open(file, "w") as lines:
        for user in range(users):
            items = (rng.pareto(1.1, rng.integers(5, 50)) * 50).astype(int) % ITEMS + _FIRST_ID
            lines.write(" ".join(map(str, (_FIRST_ID + user, *items))) + "\n")


def measure(file: Path, out: Path) -> dict[str, float]:
    """Imports in this process, with a negative for each click. Returns rows, impressions, seconds and the peak of memory in MB (10⁶ B)."""
    from pipeline.datasets.importing.import_source import import_source
    from pipeline.datasets.sources.sequences import Sequences

    begin = time.perf_counter()
    manifest = import_source(Sequences(file), out)
    return {
        "rows": manifest["rows"]["read"],
        "impressions": sum(manifest["examples"].values()),
        "seconds": time.perf_counter() - begin,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    """Measures each number of users in a process of its own, and prints a table."""
    table = Table("rows", "impressions", "rows a second", "impressions a second", "peak of memory")
    peaks = []
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        for users in USERS:
            file = Path(folder) / f"{users}.txt"
            write_sequences(file, users)
            command = [sys.executable, "-m", __spec__.name, str(file), f"{folder}/{users}"]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
            rates = (f"{found[what] / found['seconds']:,.0f}" for what in ("rows", "impressions"))
            table.add_row(f"{found['rows']:,}", f"{found['impressions']:,}", *rates, f"{found['peak_mb']:,.0f} MB")
            peaks.append(found["peak_mb"])
    Console().print(table, f"ten times the rows take {peaks[1] / peaks[0]:.2f} times the memory")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()
