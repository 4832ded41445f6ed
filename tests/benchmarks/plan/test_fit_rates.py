"""Rates that were fitted to runs whose costs are known, and the comparison of a plan with a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.plan import measure_rates, plan_check
from benchmarks.plan.fit_rates import epoch_rate, fit, stage_rates
from benchmarks.plan.measured_run import Asked, Measured
from benchmarks.plan.plan_check import compared
from benchmarks.plan.training_costs import VARIANTS, Training
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.plan.estimate import cost
from pipeline.plan.rates import FORMAT, Rates, StageRate, write_rates
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
    bytes_ = {"data": 20.0 * work.impressions, "sliced": 5.0 * work.impressions, "run": 1e6}
    return Measured(work, steps, bytes_, 1e-6 * work.impressions, Path("data"), Path("workspace"))


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


def measured_rates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rates:
    """The rates of a machine whose runs cost exactly what `TRUE` and `EPOCH` say."""

    def trainings(measured: Measured, settings: list[str], names: list[str]) -> Training:
        return training(measured, *([*settings, *VARIANTS[name]] for name in names))

    monkeypatch.setattr(measure_rates, "measure_run", lambda asked, folder: run(asked))
    monkeypatch.setattr(measure_rates, "measure_training", trainings)
    monkeypatch.setattr(measure_rates, "_measure_import", lambda folder: StageRate(seconds={"values": 1e-7}, cores=1))
    return measure_rates.measure_rates(tmp_path, Console(quiet=True))


def test_the_rates_of_a_machine_say_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found = measured_rates(monkeypatch, tmp_path)
    assert found.runs[0].startswith("20,000 impressions, histories of up to 10 events")
    assert found.stages["Transform"].seconds == pytest.approx(TRUE["Transform"])
    assert found.bytes["data"]["impressions"] == pytest.approx(20)
    assert found.bytes["sliced"]["impressions"] == pytest.approx(50)  # of eval/, a tenth of the impressions
    assert found.stages["din synth"].seconds["impressions"] == pytest.approx(1e-6)
    assert found.waited == pytest.approx(waited_by_hand())


def waited_by_hand() -> float:
    """Steps that share a stage have its whole time as their own, so that they wait."""
    steps: list[dict[str, Any]] = [step for asked in measure_rates.RUNS for step in run(asked).steps.values()]
    return 1 - sum(step["cpu"] for step in steps) / sum(step["wall"] for step in steps)


def test_din_bench_plan_compares_whole_runs_with_the_rates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_rates(measured_rates(monkeypatch, tmp_path))
    monkeypatch.setattr(plan_check, "measure_run", lambda asked, folder: run(asked))
    assert plan_check.main(as_json=True) == 0
    ten_times, longer = json.loads(capsys.readouterr().out)
    assert ten_times["run"].startswith("5,000,000 impressions") and longer["run"].startswith("100,000 impressions, histories of up to 30")
    assert ten_times["largest_off"] == pytest.approx(0, abs=1e-6) and longer["largest_off"] == pytest.approx(0, abs=1e-6)
    assert plan_check.main(as_json=False) == 0
    assert "the whole run" in capsys.readouterr().out
