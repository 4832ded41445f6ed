"""What an engine adds, from runs on it: `python -m benchmarks.plan.engine_figures FILE`, with the output of `din bench engines --json`.

It prints the two figures of each engine that `pipeline/plan/engine_costs.py` has, and what they say of the measured runs. The runs need two
sizes. The clusters of `din bench engines` have two workers on this machine, so they share its cores.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from components.base.cores import usable_cores
from components.base.errors import InputError
from pipeline.console import Console
from pipeline.plan.engine_costs import EngineCost, spread
from pipeline.plan.stages import STAGES

_LOCAL = "local"
_ON_ENGINE = [stage.name for stage in STAGES if stage.on_engine]
Steps = dict[str, dict[str, float]]


class Run(NamedTuple):
    """A run of some impressions, in this process and on the engine: `cpu` and `wall` seconds by step."""

    impressions: int
    here: Steps
    there: Steps


def engine_cost(small: Run, large: Run, cores: int) -> EngineCost:
    """The two figures of an engine: CPU seconds for each one here, from what grows; and the seconds of a job, from the smaller run."""
    grown_here = sum(large.here[step]["cpu"] - small.here[step]["cpu"] for step in _ON_ENGINE)
    factor = sum(large.there[step]["cpu"] - small.there[step]["cpu"] for step in _ON_ENGINE) / grown_here
    without = EngineCost(job_seconds=0, factor=factor)
    added = [small.there[step]["wall"] - predicted(step, small, (small, large), without, cores) for step in _ON_ENGINE]
    return without._replace(job_seconds=sum(added) / len(added))


def predicted(step: str, run: Run, measured: tuple[Run, Run], engine: EngineCost, cores: int) -> float:
    """The seconds of a step on the engine, from what it takes here at two sizes."""
    small, large = measured
    each = (large.here[step]["cpu"] - small.here[step]["cpu"]) / (large.impressions - small.impressions)
    fixed = small.here[step]["cpu"] - each * small.impressions
    return spread(fixed, each * run.impressions, run.impressions, engine, cores)


def compared(found: Sequence[dict[str, Any]], engine: str, cores: int) -> tuple[EngineCost, list[tuple[int, str, float, float]]]:
    """The figures of an engine, and for each size and step the seconds that follow from them and those that were measured.

    Args:
        found: The output of `din bench engines --json`, with two sizes.
        engine: The engine.
        cores: The cores of the cluster.
    """
    runs = [Run(size["impressions"], size["engines"][_LOCAL]["steps"], size["engines"][engine]["steps"]) for size in found]
    small, large = sorted(runs)[0], sorted(runs)[-1]
    cost = engine_cost(small, large, cores)
    rows = [
        (run.impressions, step, predicted(step, run, (small, large), cost, cores), run.there[step]["wall"])
        for run in (small, large)
        for step in _ON_ENGINE
    ]
    return cost, rows


def main(file: str) -> None:
    """Prints the figures of all engines in the file.

    Raises:
        InputError: The file has no two sizes.
    """
    found = json.loads(Path(file).read_text())
    if len({size["impressions"] for size in found}) < 2:
        raise InputError(f"{file} has one size: run din bench engines with two.")
    console = Console()
    for engine in sorted({name for size in found for name in size["engines"]} - {_LOCAL}):
        cost, rows = compared(found, engine, usable_cores())
        table = Table("impressions", "stage", "predicted, s", "measured, s")
        for impressions, step, expected, measured in rows:
            table.add_row(f"{impressions:,}", step, f"{expected:.1f}", f"{measured:.1f}")
        table.title = f"{engine}: {cost.job_seconds:.0f} s a job, {cost.factor:.2f} times the CPU seconds"
        console.print(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
