"""`din bench data`: measures what feeds the training, beside the same work written by hand, and the rates of this machine for `din plan`.

It does so stage by stage and at several sizes. All figures are CPU seconds, since other work on a shared machine changes them little. The
fixed part of each stage, that of 1,000 impressions, is taken off before rates and ratios are computed.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.plan.measure_rates import measure_rates
from benchmarks.speed.process_cost import Costs
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.synthetic import generate
from pipeline.plan.rates import write_rates
from pipeline.terminal import say

_FIXED, _SMALL, _LARGE, _LARGEST = 1_000, 100_000, 1_000_000, 10_000_000  # training impressions
_TRAIN_SHARE = 0.8
_STAGES = {  # the stages of ours: the nodes that they are made of
    "check": ("check",),
    "import": ("ImportExampleGen",),
    "statistics": ("StatisticsGen",),
    "analysis": ("Transform",),
    "training input": ("training input",),
}
_READ_ALL = ("check", "import", "statistics")  # these read all splits, the others train/


def main(quick: bool, only_rates: bool, as_json: bool) -> int:
    """Measures the data path, and then the rates of this machine for `din plan`; prints the table, or JSON. Returns the exit status.

    Args:
        quick: Leave out 10⁷ training impressions.
        only_rates: Leave out the data path.
        as_json: Print one JSON object.
    """
    console = Console(quiet=as_json)
    result = {} if only_rates else _measure_path(quick, console)
    if not (as_json or only_rates):
        _print(result, console)
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        rates = measure_rates(Path(folder), console)
    file = write_rates(rates)
    if as_json:
        say(json.dumps({**result, "rates": rates.model_dump(mode="json")}))
    else:
        say(f"The rates of this machine, for din plan: {file}")
    return 0


def _measure_path(quick: bool, console: Console) -> dict[str, Any]:
    """Measures 10⁵ and 10⁶ training impressions, and 10⁷ if it is not quick."""
    sizes = (_FIXED, _SMALL, _LARGE) if quick else (_FIXED, _SMALL, _LARGE, _LARGEST)
    found: dict[int, dict[str, Costs]] = {}
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        for size in sizes:
            data = Path(folder) / str(size)
            _make(data, size, Path(folder) / str(_LARGE))
            found[size] = {whose: _measure(whose, data, Path(folder) / f"{whose}-{size}") for whose in ("ours", "anchor")}
            console.print(f"  {size:,} training impressions measured", highlight=False)
    return {"ours": _figures(found, "ours"), "peers": {"anchor": _figures(found, "anchor")}, "ratios": _ratios(found)}


def _make(data: Path, size: int, large: Path) -> None:
    """Makes a data set of the demo's kind. The largest one consists of links to the shards of the large one."""
    if size > _LARGE:
        for split in SPLITS:
            (data / split).mkdir(parents=True)
            for number in range(size // _LARGE):
                for shard in (large / split).iterdir():
                    (data / split / f"{number}-{shard.name}").symlink_to(shard)
        return
    demo, examples = load_config("demo").synthetic, round(size / _TRAIN_SHARE)
    generate(demo.model_copy(update={"examples": examples, "users": min(demo.users, examples // 10)}), data)


def _measure(whose: str, data: Path, out: Path) -> Costs:
    """Measures all stages in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.speed.data_stages", whose, str(data), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if result.returncode:
        raise InputError(f"the measurement of {data.name} impressions failed: {result.stderr.strip().splitlines()[-1]}")
    measured: Costs = json.loads(result.stdout.splitlines()[-1])
    if whose == "anchor":
        return measured
    return {
        stage: {"cpu": sum(measured[node]["cpu"] for node in nodes), "peak_mb": max(measured[node]["peak_mb"] for node in nodes)}
        for stage, nodes in _STAGES.items()
    }


def _growing(found: dict[int, dict[str, Costs]], whose: str, stage: str, size: int) -> float:
    """The CPU seconds of a stage without its fixed part."""
    return found[size][whose][stage]["cpu"] - found[_FIXED][whose][stage]["cpu"]


def _figures(found: dict[int, dict[str, Costs]], whose: str) -> list[dict[str, Any]]:
    """One row for each size and stage. A rate is in impressions that the stage reads, by CPU second."""
    rows = []
    for size, costs in found.items():
        for stage, cost in costs[whose].items():
            row: dict[str, Any] = {"train": size, "stage": stage, "cpu_seconds": cost["cpu"], "peak_mb": cost["peak_mb"]}
            if size > _FIXED:
                read = size / _TRAIN_SHARE if stage in _READ_ALL and (whose == "ours" or stage == "import") else size
                row["rows_per_cpu_second"] = (read - _FIXED) / max(_growing(found, whose, stage, size), 1e-6)
            rows.append(row)
    return rows


def _ratios(found: dict[int, dict[str, Costs]]) -> dict[str, float]:
    """Ours over the anchor's time at 10⁶, of statistics for one split; and how time and memory grow from 10⁵ to 10⁶."""

    def ratio(stage: str) -> float:
        return _growing(found, "ours", stage, _LARGE) / max(_growing(found, "anchor", stage, _LARGE), 1e-6)

    def total(size: int) -> float:
        return sum(_growing(found, "ours", stage, size) for stage in _STAGES)

    small, large = (max(cost["peak_mb"] for cost in found[size]["ours"].values()) for size in (_SMALL, _LARGE))
    return {
        "import_vs_copy": ratio("import"),
        "statistics_vs_anchor": ratio("statistics") * _TRAIN_SHARE,
        "analysis_vs_anchor": ratio("analysis"),
        "training_input_vs_anchor": ratio("training input"),
        "growth_1e5_to_1e6": total(_LARGE) / (total(_SMALL) * _LARGE / _SMALL),
        "peak_growth": large / small,
    }


def _print(result: dict[str, Any], console: Console) -> None:
    table = Table("training impressions", "stage", "CPU seconds", "impressions by CPU second", "peak of memory", "by hand: CPU seconds")
    by_hand = {(row["train"], row["stage"]): row["cpu_seconds"] for row in result["peers"]["anchor"]}
    for row in result["ours"]:
        rate = row.get("rows_per_cpu_second")
        hand = by_hand.get((row["train"], row["stage"]))
        table.add_row(
            f"{row['train']:,}",
            row["stage"],
            f"{row['cpu_seconds']:.2f}",
            "" if rate is None else f"{rate:,.0f}",
            f"{row['peak_mb']:,.0f} MB",
            "" if hand is None else f"{hand:.2f}",
        )
    console.print(table)
    for name, value in result["ratios"].items():
        console.print(f"{name}: {value:.2f}", highlight=False)
