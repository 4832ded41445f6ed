"""Measures the rates of this machine for `din plan`: four runs, trainings of several sizes and an import, each in a process of its own."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.plan.fit_rates import cpu, epoch_rate, fit, stage_rates
from benchmarks.plan.measured_run import Asked, Measured, measure_run, workload
from benchmarks.plan.training_costs import VARIANTS, measure_training
from benchmarks.speed.import_speed import measure_import, write_sequences
from components.base.cores import usable_cores
from pipeline.console import Console
from pipeline.plan.rates import FORMAT, Rates, StageRate
from pipeline.plan.stages import EPOCHS, IMPORT, READ, STAGES, SYNTH, Stage
from pipeline.plan.workload import EVAL

SMALL, MIDDLE, LARGE = 20_000, 100_000, 500_000  # impressions
SHORT, LONG = 10, 50  # events of a history, at most
RUNS = (Asked(SMALL, SHORT), Asked(SMALL, SHORT), Asked(LARGE, SHORT), Asked(MIDDLE, LONG))  # two small ones, for the fixed parts
_IMPORTED_USERS = 10_000
_AS_THE_RUN = [next(iter(VARIANTS))]


def measure_rates(folder: Path, console: Console) -> Rates:
    """Measures all of it, which takes some minutes.

    Args:
        folder: An empty folder for data and workspaces.
        console: Where progress is shown.
    """
    runs = []
    for number, asked in enumerate(RUNS):
        runs.append(measure_run(asked, folder / str(number)))
        console.print(f"  {asked}: measured")
    trained = {0: list(VARIANTS), 2: _AS_THE_RUN, 3: _AS_THE_RUN}
    trainings = [measure_training(runs[number], RUNS[number].all_settings, names) for number, names in trained.items()]
    console.print(f"  {sum(len(training.variants) for training in trainings)} trainings: measured")
    imported = _measure_import(folder)
    console.print("  an import: measured")
    return Rates(
        format=FORMAT,
        measured=datetime.now(UTC).date().isoformat(),
        machine=f"{usable_cores()} cores, {_processor()}, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        version=version("din-tfx"),
        runs=tuple(f"{asked}, {run.work.history:.1f} on average" for asked, run in zip(RUNS, runs, strict=True)),
        waited=_waited(runs),
        stages={**stage_rates(runs, epoch_rate(trainings), _cores(runs[-1])), **_made(runs), IMPORT: imported},
        bytes=_bytes(runs),
        memory=_memory(runs),
    )


def _measure_import(folder: Path) -> StageRate:
    write_sequences(folder / "sequences.txt", _IMPORTED_USERS)
    found = measure_import(folder / "sequences.txt", folder / "imported")
    asked = Asked(int(found["impressions"]), SHORT)
    amounts = workload(asked, folder / "imported").read(1)
    return StageRate(seconds={"values": found["cpu_seconds"] / amounts["values"]}, cores=max(found["cpu_seconds"] / found["seconds"], 1.0))


def _made(runs: list[Measured]) -> dict[str, StageRate]:
    """The rate of making synthetic impressions, which one core does."""
    return {SYNTH: StageRate(seconds=fit([(run.work.read(1), run.made) for run in runs], fixed=False), cores=1.0)}


def _cores(run: Measured) -> dict[str, float]:
    """How many cores each stage kept busy: at least one, since other work of the machine only makes a stage wait."""

    def busy(stage: Stage) -> float:
        wall = sum(run.steps[node]["wall"] for node in stage.nodes)
        return max(cpu(run, stage) / max(wall, 1e-6), 1.0)

    found = {stage.name: busy(stage) for stage in STAGES if stage.nodes}
    return {**found, EPOCHS: found[READ]}


def _waited(runs: list[Measured]) -> float:
    """The share of the time of all steps in which nothing of the run was computed."""
    steps = [step for run in runs for step in run.steps.values()]
    return max(0.0, 1 - sum(step["cpu"] for step in steps) / sum(step["wall"] for step in steps))


def _bytes(runs: list[Measured]) -> dict[str, dict[str, float]]:
    """Bytes by unit: the data and eval/ with columns grow, the rest of a workspace is that of the smallest run."""
    data = fit([(run.work.read(1), run.bytes["data"]) for run in runs], fixed=False)
    sliced = fit([(run.work.read(EVAL), run.bytes["sliced"]) for run in runs], fixed=False)
    return {"data": data, "sliced": sliced, "run": {"run": runs[0].bytes["run"]}}


def _memory(runs: list[Measured]) -> dict[str, float]:
    """Peak bytes of the process, by the values of an impression: blocks of impressions are read."""
    peaks = [({"values": run.work.values}, max(step["peak_mb"] for step in run.steps.values()) * 1e6) for run in runs]
    return fit(peaks[2:])  # the small runs have no full block


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
