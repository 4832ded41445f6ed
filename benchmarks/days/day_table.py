"""`din bench days`: a model for each of several synthetic days, warm from the day before, cold, and cold on a window of 7 days."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from components.base.errors import InputError
from din_trainer.config import DINConfig
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.datasets import synthetic
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.records.run_list import LOG_FILE
from pipeline.records.summary_tables import number
from pipeline.terminal import Progress, output_to, say

if TYPE_CHECKING:  # TensorFlow is imported when the days are written
    from benchmarks.days.day_by_day import Figures, Way
    from benchmarks.days.day_data import Day

WIDTH = 120
WINDOW = 7
LEAST_DAYS = 3
_SIZES = {"users": 500, "items": 300, "drift": 0.05}
_A_DAY = 10_000  # impressions
_COLD = ("training.batch_size=128", "training.epochs=10", "training.patience=1")  # until the validation AUC falls
_WARM = ("training.epochs=1",)


def ways() -> "list[Way]":
    """The compared ways: all read the same days, with the same model."""
    from benchmarks.days.day_by_day import Way

    return [
        Way("cold, 1 day", 1, False),
        Way(f"cold, {WINDOW} days", WINDOW, False),
        Way("warm, 1 day", 1, True, _WARM),
        Way("warm, with moments", 1, True, (*_WARM, "training.warm_moments=true")),
    ]


def configs(way: "Way", seed: int) -> tuple[DINConfig, DINConfig]:
    """The configurations of a training from random weights, and of one from the model of the day before."""
    cold = [*_COLD, f"training.seed={seed}"]
    return load_config(None, cold).din, load_config(None, [*cold, *way.settings]).din


def ratios(by_way: "dict[str, list[Figures]]") -> dict[str, dict[str, float]]:
    """How each way compares with cold training on the window, on the days on which that window is full.

    Returns:
        By way: `auc` (the mean of the differences), `seconds`, `training` (of these, those of the training) and `impressions` (quotients of
        the sums), and `mean_calibration`.
    """
    reference = by_way[f"cold, {WINDOW} days"]
    full = range(min(WINDOW, len(reference)) - 1, len(reference))
    result = {}
    for name, figures in by_way.items():
        result[name] = {
            "auc": statistics.mean(figures[i].auc - reference[i].auc for i in full),
            "seconds": sum(figures[i].seconds for i in full) / sum(reference[i].seconds for i in full),
            "training": sum(figures[i].training for i in full) / sum(reference[i].training for i in full),
            "impressions": sum(figures[i].impressions for i in full) / sum(reference[i].impressions for i in full),
            "mean_calibration": statistics.mean(figures[i].calibration for i in full),
        }
    return result


def to_table(days: "list[Day]", by_way: "dict[str, list[Figures]]") -> Table:
    """AUC, calibration and CPU seconds of each way, day by day."""
    table = Table(title="AUC on the day after the training data (calibration, CPU seconds)", title_justify="left")
    table.add_column("day")
    table.add_column("oracle", justify="right")
    for name in by_way:
        table.add_column(name, justify="right")
    for i, day in enumerate(days[1:]):
        cells = [f"{row[i].auc:.4f} ({row[i].calibration:.2f}, {row[i].seconds:.0f} s)" for row in by_way.values()]
        table.add_row(day.name, number(day.oracle.get("auc")), *cells)
    return table


def to_lines(by_way: "dict[str, list[Figures]]") -> list[str]:
    """A sentence for each way but the reference, and one on what all ways pay."""
    compared = ratios(by_way)
    reference = f"cold, {WINDOW} days"
    lines = [
        f"{name}: AUC {row['auc']:+.4f}, {row['seconds']:.2f} of the seconds ({row['training']:.2f} of the training's), "
        f"{row['impressions']:.2f} of the impressions of {reference!r}"
        for name, row in compared.items()
        if name != reference
    ]
    counting = statistics.mean(figures.counting for row in by_way.values() for figures in row)
    least = min(figures.training for row in by_way.values() for figures in row)
    return [
        *lines,
        f"Each way pays about {counting:.0f} s a day for Transform and at least {least:.0f} s for a training, however small the day is.",
    ]


def main(days: int, seed: int, as_json: bool) -> int:
    """Measures in a temporary workspace, and prints a table or JSON. Returns the exit status."""
    if days < LEAST_DAYS:
        raise InputError(f"--days {days}: it takes {LEAST_DAYS} days or more to start a training from one that was started so itself.")
    world = SyntheticConfig(days=days, examples=_A_DAY * days, seed=seed, **_SIZES)
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder, output_to(Path(folder) / LOG_FILE) as terminal:
        progress = Progress(Console(file=terminal, quiet=as_json))
        try:
            measured, by_way = _measure(world, seed, Path(folder), progress)
        finally:
            progress.stop()
        if as_json:
            say(json.dumps(_as_json(world, measured, by_way)), terminal)
        else:
            console = Console(file=terminal, width=WIDTH)
            console.print(to_table(measured, by_way))
            for line in to_lines(by_way):
                console.print(line, soft_wrap=True)
    return 0


def _measure(world: SyntheticConfig, seed: int, folder: Path, progress: Progress) -> "tuple[list[Day], dict[str, list[Figures]]]":
    progress.start("synthetic data")
    synthetic.generate(world, folder / "data", command="din bench days")
    progress.finish()
    progress.start("start TensorFlow")
    from benchmarks.days.day_by_day import train_by_day
    from benchmarks.days.day_data import read_days

    days = read_days(folder / "data", folder / "days")
    progress.finish()
    by_way = {}
    for way in ways():
        progress.start(way.name)
        by_way[way.name] = train_by_day(
            way, days, *configs(way, seed), folder / way.name, lambda day, figures: progress.detail(f"{day}: AUC {figures.auc:.4f}")
        )
        progress.finish()
    return days, by_way


def _as_json(world: SyntheticConfig, days: "list[Day]", by_way: "dict[str, list[Figures]]") -> dict[str, Any]:
    from benchmarks.days.day_by_day import as_json

    rows = [
        {"day": day.name, "oracle": day.oracle, "ways": {name: as_json(figures[i]) for name, figures in by_way.items()}}
        for i, day in enumerate(days[1:])
    ]
    return {"config": world.model_dump(), "days": rows, "ratios": ratios(by_way)}
