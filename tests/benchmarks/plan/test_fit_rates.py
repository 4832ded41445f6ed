"""Rates that were fitted to runs whose costs are known, and the comparison of a plan with a run."""

from pathlib import Path

import pytest

from benchmarks.plan.fit_rates import epoch_rate, fit, stage_rates
from benchmarks.plan.measured_run import Asked, Measured
from benchmarks.plan.plan_check import compared
from benchmarks.plan.training_costs import Training
from pipeline.configuration.load_config import load_config
from pipeline.plan.estimate import cost
from pipeline.plan.rates import FORMAT, Rates
from pipeline.plan.stages import EPOCHS, READ, STAGES
from pipeline.plan.workload import Workload, table_rows

TRUE = {stage.name: {"run": 2.0, "impressions": 3e-6, "values": 1e-7} for stage in STAGES if stage.name != EPOCHS}
EPOCH = {"epochs": 0.25, "steps": 2e-3, "impressions": 1e-6, "floats": 1e-9, "products": 5e-11, "saved": 1e-8}
RUNS = (Asked(20_000, 10), Asked(200_000, 10), Asked(100_000, 50))


def test_known_costs_are_found_again():
    points = [({"rows": 10.0}, 7.0), ({"rows": 100.0}, 25.0), ({"rows": 1000.0}, 205.0)]  # 5 + 0.2 · rows
    assert fit(points) == pytest.approx({"run": 5.0, "rows": 0.2})
    assert fit([({"rows": 1.0, "cells": 2.0}, 5.0), ({"rows": 2.0, "cells": 1.0}, 4.0)], fixed=False) == pytest.approx(
        {"rows": 1, "cells": 2}
    )


def test_no_rate_is_negative():
    assert fit([({"rows": 1.0}, 10.0), ({"rows": 2.0}, 5.0)])["rows"] == 0  # less for more: a fixed part alone


def run(asked: Asked) -> Measured:
    """A run in which each stage costs exactly what `TRUE` and `EPOCH` say."""
    config = load_config(None, asked.all_settings)
    work = Workload(config, asked.impressions, asked.history - 1.0, table_rows(config, asked.impressions, {}))
    steps = {}
    for stage in (stage for stage in STAGES if stage.nodes):
        seconds = cost(TRUE[stage.name], stage.amounts(work)) + (asked.epochs * cost(EPOCH, work.epoch) if stage.name == READ else 0)
        steps |= {node: {"cpu": seconds / len(stage.nodes), "wall": seconds, "peak_mb": 1.0} for node in stage.nodes}
    return Measured(work, steps, {}, 1.0, Path("data"), Path("workspace"))


def training(measured: Measured, *settings: list[str]) -> Training:
    variants = []
    for changed in settings:
        config = load_config(None, changed)
        work = measured.work._replace(config=config, rows=table_rows(config, measured.work.impressions, {}))
        variants.append({"name": "", "settings": changed, "seconds": cost(EPOCH, work.epoch)})
    return Training(measured, variants)


def fitted() -> Rates:
    runs = [run(asked) for asked in RUNS]
    base, long = RUNS[0].all_settings, RUNS[2].all_settings
    changes = ["training.batch_size=128", "model.hidden=[512]", "features.user.user_id.dim=64", "features.behaviours.item.dim=64"]
    trainings = [training(runs[0], base, *([*base, change] for change in changes)), training(runs[1], base), training(runs[2], long)]
    stages = stage_rates(runs, epoch_rate(trainings), {stage.name: 1.0 for stage in STAGES})
    made = {"bytes": {"data": {}, "sliced": {}, "run": {}}, "memory": {}}
    return Rates(format=FORMAT, measured="", machine="", version="", runs=(), waited=0.0, stages=stages, **made)


def test_rates_of_exact_runs_predict_a_run_ten_times_as_large_with_other_histories():
    found = compared(run(Asked(2_000_000, 30, epochs=3)), fitted())
    assert found["total_off"] == pytest.approx(0, abs=1e-6)
    assert found["largest_off"] == pytest.approx(0, abs=1e-6)
    assert found["stages"]["Trainer"]["predicted"] == pytest.approx(found["stages"]["Trainer"]["measured"])


def test_the_largest_error_is_that_of_a_stage_that_takes_a_part_of_the_run():
    large, small = run(Asked(2_000_000, 30)), fitted()
    large.steps["StatisticsGen"]["cpu"] *= 2  # twice as much as predicted
    for node in ("Pusher", "report"):
        large.steps[node]["cpu"] *= 3  # two seconds of hundreds: not counted
    found = compared(large, small)
    assert found["largest_off"] == pytest.approx(-0.5)
