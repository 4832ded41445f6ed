"""`din bench engines`: runs the same pipeline locally, on Flink and on Spark, compares the results, and shows what each step costs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.engines.engine_equality import compare
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.datasets.synthetic import generate
from pipeline.terminal import interrupt_on_sigterm, output_to, say

ENGINES = ("local", "flink", "spark")
LOCAL, *_CLUSTERS = ENGINES
ON_BEAM = ("StatisticsGen", "Transform", "Evaluator")
_SETTINGS = ("training.deterministic=true", "training.epochs=1", "evaluation.thresholds.auc.at_least=0")
_SCRIPTS = Path(__file__).parents[2] / "deploy" / "clusters"
_PORTS = {"flink": 18140, "spark": 18240}
_IMPRESSIONS_OF_A_USER = 20

Steps = dict[str, dict[str, float]]


def main(sizes: Sequence[int], engines: Sequence[str], as_json: bool) -> int:
    """Runs the pipeline for each size on each engine, and prints tables or JSON.

    Args:
        sizes: Numbers of impressions.
        engines: The engines; the local one is added, since the others are compared with it.
        as_json: Whether to print JSON.

    Returns:
        The exit status: 1 if a result differs by more than the order of a sum explains.

    Raises:
        InputError: An engine or a size is wrong, a cluster does not start, or a run fails.
    """
    if unknown := set(engines) - set(ENGINES):
        raise InputError(f"--engines {','.join(sorted(unknown))}: there are {', '.join(ENGINES)}.")
    if few := [size for size in sizes if size < 1000]:
        raise InputError(f"--impressions {few[0]}: at least 1,000 are needed for a model that can be judged.")
    interrupt_on_sigterm()  # so that the clusters are stopped, too
    engines = (LOCAL, *(engine for engine in _CLUSTERS if engine in engines))
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
            found.append(measure(size, engines, Path(folder)))
        if not as_json:
            _print(found[-1])
    if as_json:
        say(json.dumps(found))
    return int(any(not equality["same"] for size in found for engine in size["engines"].values() for equality in engine["equality"]))


def measure(size: int, engines: Sequence[str], folder: Path) -> dict[str, Any]:
    """Runs each engine on the same data in a workspace of its own. Returns the costs by step, and how far the results are off."""
    users = max(size // _IMPRESSIONS_OF_A_USER, 10)
    settings = [f"synthetic.examples={size}", f"synthetic.users={users}", *_SETTINGS]
    config = load_config("demo", settings)
    generate(config.synthetic, folder / "data")
    found: dict[str, Any] = {}
    for engine in engines:
        with _running(engine, folder / f"cluster-{engine}") as options:
            steps = _run(engine, folder, settings, options)
        found[engine] = {"steps": steps, "equality": []}
        if engine != LOCAL:
            with output_to(Path(os.devnull)):  # TFX and TFDV log what they read
                equality = compare(folder / LOCAL, folder / engine, config)
            found[engine]["equality"] = [checked._asdict() for checked in equality]
    return {"impressions": size, "engines": found}


@contextmanager
def _running(engine: str, state: Path) -> Iterator[list[str]]:
    """Starts a cluster. Yields the options that `din run` needs."""
    if engine == LOCAL:
        yield []
        return
    environment = {**os.environ, "DIN_CLUSTER_DIR": str(state), "DIN_CLUSTER_PORT": str(_PORTS[engine])}
    script = _SCRIPTS / f"{engine}.sh"
    try:
        started = subprocess.run([script, "start"], env=environment, capture_output=True, text=True)
        if started.returncode:
            raise InputError(f"{engine} does not start: {started.stderr.strip().splitlines()[-1].removeprefix('clusters: ')}")
        yield started.stdout.split()
    finally:
        subprocess.run([script, "stop"], env=environment, stderr=subprocess.PIPE, check=True)


def _run(engine: str, folder: Path, settings: Sequence[str], options: Sequence[str]) -> Steps:
    """Runs the pipeline in a session of its own. Returns what each step cost, with the processes of the cluster."""
    steps, pids = folder / f"{engine}.json", "" if engine == LOCAL else str(folder / f"cluster-{engine}" / "pids")
    command = [sys.executable, "-m", "benchmarks.engines.measured_run", str(steps), pids, "run", "--config", "demo"]
    command += [
        "--data",
        str(folder / "data"),
        "--workspace",
        str(folder / engine),
        *(f"--set={setting}" for setting in settings),
        *options,
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    if done.returncode:
        raise InputError(f"the run on {engine} ended with exit status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(steps.read_text())


def _print(found: dict[str, Any]) -> None:
    """Prints a table of the costs, and one of the differences from the local run."""
    costs = Table("step", "engine", "CPU s", "wall s", "peak MB")
    for column in costs.columns[2:]:
        column.justify = "right"
    for step in [*ON_BEAM, "the other steps", "all steps"]:
        for engine, result in found["engines"].items():
            costs.add_row(step, engine, *_cells(_costs_of(result["steps"], step)))
    say(f"{found['impressions']:,} impressions")
    console = Console()
    console.print(costs)
    clusters = {engine: result["equality"] for engine, result in found["engines"].items() if result["equality"]}
    if clusters:
        equality = Table("compared with local", *clusters)
        for row in zip(*clusters.values(), strict=True):
            equality.add_row(row[0]["what"], *(cell["found"] + ("" if cell["same"] else " (too far)") for cell in row))
        console.print(equality)


def _costs_of(steps: Steps, row: str) -> dict[str, float]:
    """The costs of one step, or of several together: their seconds are added up, and the largest peak counts."""
    chosen = [cost for step, cost in steps.items() if row in (step, "all steps") or (row == "the other steps" and step not in ON_BEAM)]
    seconds = {unit: sum(cost[unit] for cost in chosen) for unit in ("cpu", "wall")}
    return {**seconds, "peak_mb": max((cost["peak_mb"] for cost in chosen), default=0.0)}


def _cells(cost: dict[str, float]) -> list[str]:
    return [f"{cost['cpu']:.1f}", f"{cost['wall']:.1f}", f"{cost['peak_mb']:,.0f}"]
