"""Fits the rates of `din plan` to measured runs: what each unit of work costs in each stage, by least squares without negative rates."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

from benchmarks.plan.measured_run import Measured
from benchmarks.plan.training_costs import Training, Variant
from pipeline.configuration.load_config import load_config
from pipeline.plan.estimate import RUN, cost
from pipeline.plan.rates import StageRate
from pipeline.plan.stages import EPOCHS, READ, STAGES, Stage
from pipeline.plan.workload import table_rows

Point = tuple[Mapping[str, float], float]  # amounts by unit, and what they cost


def fit(points: Sequence[Point], fixed: bool = True) -> dict[str, float]:
    """The cost of each unit, so that the relative errors of the points are least.

    Args:
        points: What was measured; each cost is above 0.
        fixed: Whether there is a fixed part, under `run`.
    """
    units = [*([RUN] if fixed else []), *dict.fromkeys(unit for amounts, _ in points for unit in amounts)]
    rows = np.array([[{RUN: 1.0, **amounts}.get(unit, 0.0) for unit in units] for amounts, _ in points])
    costs = np.array([found for _, found in points])
    scales = np.maximum(rows.max(axis=0), 1e-30)  # amounts differ by ten powers of ten
    found, _ = nnls(rows / scales / costs[:, None], np.ones(len(costs)))
    return dict(zip(units, (found / scales).tolist(), strict=True))


def cpu(run: Measured, stage: Stage) -> float:
    """The CPU seconds of a stage in a measured run."""
    return sum(run.steps[node]["cpu"] for node in stage.nodes)


def epoch_rate(trainings: Sequence[Training]) -> dict[str, float]:
    """What each unit of an epoch costs."""
    return fit([(epoch_of(t.run, v), v["seconds"]) for t in trainings for v in t.variants], fixed=False)


def epoch_of(run: Measured, variant: Variant) -> dict[str, float]:
    """The work of an epoch of a variant."""
    config = load_config(None, variant["settings"])
    return run.work._replace(config=config, rows=table_rows(config, run.work.impressions, {})).epoch


def stage_rates(runs: Sequence[Measured], epoch: Mapping[str, float], cores: Mapping[str, float]) -> dict[str, StageRate]:
    """The rates of all stages of a run.

    Args:
        runs: The measured runs.
        epoch: As from `epoch_rate`: it is taken off the Trainer's time.
        cores: Cores that each stage kept busy.
    """

    def measured(stage: Stage, run: Measured) -> float:
        epochs = run.work.config.training.epochs * cost(epoch, run.work.epoch) if stage.name == READ else 0.0
        return max(cpu(run, stage) - epochs, 1e-6)

    found = {}
    for stage in STAGES:
        seconds = dict(epoch) if stage.name == EPOCHS else fit([(stage.amounts(run.work), measured(stage, run)) for run in runs])
        found[stage.name] = StageRate(seconds=seconds, cores=cores[stage.name])
    return found
