"""The figures of an engine, from runs whose costs are known."""

import pytest

from benchmarks.plan.engine_figures import compared

FIXED = {"StatisticsGen": 2.0, "Transform": 4.0, "Evaluator": 1.0}
EACH = {"StatisticsGen": 10e-6, "Transform": 6e-6, "Evaluator": 3e-6}  # CPU seconds of an impression
JOB, FACTOR, CORES = 40.0, 1.5, 2


def size(impressions: int) -> dict:
    here = {step: {"cpu": FIXED[step] + EACH[step] * impressions, "wall": 0.0} for step in FIXED}
    there = {
        step: {
            "cpu": 30 + FACTOR * EACH[step] * impressions,
            "wall": FIXED[step] + JOB + FACTOR * EACH[step] * impressions / CORES,
        }
        for step in FIXED
    }
    return {"impressions": impressions, "engines": {"local": {"steps": here}, "flink": {"steps": there}}}


def test_the_figures_of_exact_runs_are_found_and_predict_them():
    cost, rows = compared([size(2_000_000), size(200_000)], "flink", CORES)
    assert cost.factor == pytest.approx(FACTOR)
    assert cost.job_seconds == pytest.approx(JOB)
    assert len(rows) == 6
    for _, _, expected, measured in rows:
        assert expected == pytest.approx(measured)
