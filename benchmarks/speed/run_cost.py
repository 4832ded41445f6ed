"""`din bench run`: measures what a run of 1,000 impressions costs, step by step. Most of it is fixed: a run of any size pays it.

Another checkout of this repository can be measured in turn with this one, since the speed of a shared machine changes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.speed.process_cost import cpu_seconds
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.datasets.synthetic import generate
from pipeline.terminal import say

Steps = dict[str, dict[str, float]]  # CPU and wall seconds by step

_EXAMPLES, _USERS = 1_000, 100
_WHOLE = "the whole run"
_JUDGED = (0, 3)  # exit statuses of a run whose model was judged; one of so few impressions may be refused
_ROOT = Path(__file__).parents[2]


def main(runs: int, against: Path | None, as_json: bool) -> int:
    """Measures some runs and prints the medians as a table, or as JSON. Returns the exit status.

    Raises:
        InputError: There are no runs, the other checkout is none, or a run failed.
    """
    if runs < 1:
        raise InputError(f"--runs is {runs}: at least one run is needed.")
    checkouts = {"ours": _ROOT} if against is None else {"ours": _ROOT, "against": against.absolute()}
    if against and not (against / "pipeline" / "terminal.py").is_file():
        raise InputError(f"--against {against} is no checkout of this repository: it has no pipeline/terminal.py.")
    measured: dict[str, list[Steps]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        generate(load_config("demo").synthetic.model_copy(update={"examples": _EXAMPLES, "users": _USERS}), Path(folder) / "data")
        for number in range(runs):
            for name, checkout in checkouts.items():
                measured[name].append(_run(checkout, Path(folder) / "data", Path(folder) / f"{name}-{number}"))
    found = {name: medians(steps) for name, steps in measured.items()}
    if as_json:
        say(json.dumps({"examples": _EXAMPLES, "runs": runs, **found}))
    else:
        _print(found)
    return 0


def _run(checkout: Path, data: Path, workspace: Path) -> Steps:
    """Runs the pipeline of a checkout with the default configuration in a new workspace."""
    steps = workspace.with_suffix(".json")
    script = Path(__file__).with_name("run_steps.py")
    command = [sys.executable, "-P", str(script), str(steps), "run", "--data", str(data), "--workspace", str(workspace)]
    cpu, wall = cpu_seconds(), time.monotonic()
    result = subprocess.run(command, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}, capture_output=True, text=True)
    whole = {"cpu": cpu_seconds() - cpu, "wall": time.monotonic() - wall}
    if result.returncode not in _JUDGED:
        reason = result.stderr.strip() or result.stdout.strip()
        raise InputError(f"the run of {checkout} ended with exit status {result.returncode}: {reason}")
    return {**json.loads(steps.read_text()), _WHOLE: whole}


def medians(runs: list[Steps]) -> Steps:
    """The medians of several runs: each figure has its own."""
    return {step: {unit: median(run[step][unit] for run in runs) for unit in ("cpu", "wall")} for step in runs[0]}


def _print(found: dict[str, Steps]) -> None:
    """Prints a row for each step of any checkout."""
    columns = [f"{'other: ' if name == 'against' else ''}{unit} s" for name in found for unit in ("CPU", "wall")]
    table = Table("step", *columns)
    ordered = dict.fromkeys(step for steps in found.values() for step in steps if step != _WHOLE)
    for step in [*ordered, _WHOLE]:
        costs = [steps.get(step) for steps in found.values()]
        table.add_row(step, *(f"{cost[unit]:.2f}" if cost else "" for cost in costs for unit in ("cpu", "wall")))
    Console().print(table)
