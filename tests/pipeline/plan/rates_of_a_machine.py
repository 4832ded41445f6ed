"""Rates with round figures, for tests that work out a plan by hand."""

from pipeline.plan.rates import FORMAT, Rates, StageRate
from pipeline.plan.stages import BY_NAME, EPOCHS, IMPORT, SYNTH

SECONDS = {
    "check data": {"run": 3.0, "impressions": 1e-6, "values": 1e-7},
    "StatisticsGen": {"run": 2.0, "impressions": 4e-6},
    "Transform": {"run": 4.0, "impressions": 5e-6},
    "Evaluator": {"run": 1.0, "impressions": 10e-6},
    EPOCHS: {"epochs": 0.5, "steps": 1e-3, "products": 1e-9},
    SYNTH: {"values": 1e-7},
    IMPORT: {"values": 2e-7},
}


def rates(cores: float = 1.0) -> Rates:
    """All other stages cost a second."""
    return Rates(
        format=FORMAT,
        measured="2026-11-28",
        machine="2 cores, a processor, 24 GB",
        version="0.1.0",
        runs=("10 impressions",),
        waited=0.0,
        stages={name: StageRate(seconds=SECONDS.get(name, {"run": 1.0}), cores=cores) for name in BY_NAME},
        bytes={"data": {"impressions": 20.0, "values": 1.0}, "sliced": {"impressions": 50.0}, "run": {"run": 1e6}},
        memory={"run": 1e9, "values": 1e6},
    )
