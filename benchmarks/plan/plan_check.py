"""`din bench plan`: whole runs beside what `din plan` says of them from the rates of this machine, by stage, in CPU seconds.

One run has ten times the impressions of those that the rates were fitted to, the other has histories of another length.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.plan.fit_rates import cpu
from benchmarks.plan.measure_rates import LARGE, MIDDLE, SHORT
from benchmarks.plan.measured_run import Asked, Measured, measure_run
from pipeline.console import Console
from pipeline.plan.estimate import make_plan
from pipeline.plan.rates import Rates, read_rates
from pipeline.plan.stages import EPOCHS, READ
from pipeline.terminal import say

RUNS = (Asked(10 * LARGE, SHORT), Asked(MIDDLE, 30, epochs=2))
_TRAINER = "Trainer"
_LARGE_SHARE = 0.05  # of the CPU seconds of a run: a stage that takes more counts as a large one


def main(as_json: bool) -> int:
    """Measures the runs and prints a table, or JSON. Returns the exit status.

    Raises:
        InputError: There are no rates of this machine, or a run failed.
    """
    rates, console = read_rates(), Console(quiet=as_json)
    result = []
    for asked in RUNS:
        with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
            run = measure_run(asked, Path(folder))
        result.append({"run": f"{asked}, {run.work.history:.1f} on average", **compared(run, rates)})
        console.print(_table(result[-1]))
    if as_json:
        say(json.dumps(result))
    return 0


def compared(run: Measured, rates: Rates) -> dict[str, Any]:
    """The CPU seconds of each stage, predicted and measured, and the largest error of a stage that takes a twentieth of the run or more.

    The two stages of the Trainer are one: they cannot be measured apart.
    """
    predicted: dict[str, float] = {}
    measured: dict[str, float] = {}
    for found in make_plan(run.work, rates, None).stages:
        name = _TRAINER if found.stage.name in (READ, EPOCHS) else found.stage.name
        predicted[name] = predicted.get(name, 0.0) + found.cpu_seconds
        measured[name] = measured.get(name, 0.0) + cpu(run, found.stage)
    total = {"predicted": sum(predicted.values()), "measured": sum(measured.values())}
    large = [name for name, seconds in measured.items() if seconds >= _LARGE_SHARE * total["measured"]]
    return {
        "stages": {name: {"predicted": predicted[name], "measured": measured[name]} for name in measured},
        "total": total,
        "total_off": total["predicted"] / total["measured"] - 1,
        "largest_off": max((predicted[name] / measured[name] - 1 for name in large), key=abs),
    }


def _table(result: dict[str, Any]) -> Table:
    table = Table("stage", "predicted, CPU s", "measured, CPU s", "off", title=result["run"], title_justify="left")
    for name, found in {**result["stages"], "the whole run": result["total"]}.items():
        off = found["predicted"] / max(found["measured"], 1e-6) - 1
        table.add_row(name, f"{found['predicted']:.1f}", f"{found['measured']:.1f}", f"{off:+.0%}")
    table.caption = f"largest error of a stage of {_LARGE_SHARE:.0%} or more: {result['largest_off']:+.0%}"
    return table
