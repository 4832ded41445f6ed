"""Shows that the bytes of a workspace are bounded: many runs, each with a training of its own, on two data sets that alternate."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.disk_use import disk_use
from benchmarks.measurement_log import append, read_log
from components.base.errors import InputError
from pipeline.console import Console
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.report.text_format import size
from pipeline.terminal import say

_PARTS = ("artifacts", "runs", "serving", "metadata.sqlite")  # of a workspace; the rest has a few kilobytes, and plotly.js once
_LOG = "bytes.jsonl"
_WIDTH = 60  # characters of the longest bar
_SETTINGS = (
    *("training.epochs=1", "evaluation.thresholds.auc.at_least=0.3", "evaluation.thresholds.auc.worse_by_at_most=1"),
    *("evaluation.bootstrap.replicates=20", "serving.poll_seconds=0"),
)


def main(runs: int, keep: int, folder: Path, as_json: bool) -> int:
    """Makes the runs that the log lacks, and prints the bytes after each of them.

    Args:
        runs: How many runs, with those of the log.
        keep: `workspace.keep_runs`.
        folder: Where the data, the workspace and the log are.
        as_json: Prints the measurements as JSON.
    """
    data = [_data(folder, seed) for seed in (0, 1)]
    console = Console(quiet=as_json)
    measured = read_log(folder / _LOG)
    while len(measured) < runs:
        measured.append(_measure(len(measured), data, folder / "workspace", keep))
        append(folder / _LOG, measured[-1])
        console.print(f"  run {len(measured)} of {runs}: {size(measured[-1]['bytes']['all'])}", soft_wrap=True)
    if as_json:
        say(json.dumps({"keep_runs": keep, "runs": measured}))
        return 0
    for line in chart(measured):
        say(line)
    return 0


def _data(folder: Path, seed: int) -> Path:
    """Returns a small data set of its own users and items, which is made if it is not there."""
    out = folder / f"data-{seed}"
    if not out.exists():
        generate(SyntheticConfig(examples=4000, users=100, items=60, categories=6, seed=seed), out, command="din bench workspace")
    return out


def _measure(number: int, data: list[Path], workspace: Path, keep: int) -> dict[str, Any]:
    """Makes one run, and measures the workspace."""
    settings = [*_SETTINGS, f"training.seed={number}", f"workspace.keep_runs={keep}"]
    command = [Path(sys.executable).with_name("din"), "run", "--json", "--data", data[number % len(data)], "--workspace", workspace]
    done = subprocess.run([*map(str, command), *(f"--set={setting}" for setting in settings)], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise InputError(f"Run {number + 1} ended with exit status {done.returncode}: {done.stderr.strip()}")
    summary = json.loads(done.stdout)
    found = {part: disk_use(workspace / part) for part in _PARTS}
    return {
        "run": summary["run_id"],
        "status": summary["status"],
        "seconds": summary["seconds"]["total"],
        "bytes": {**found, "all": disk_use(workspace)},
        "runs": len(list((workspace / "runs").iterdir())),
    }


def chart(measured: list[dict[str, Any]]) -> list[str]:
    """Returns a bar for each run, at most 50 of them, with the bytes of the workspace after it, and a line with those of its parts."""
    step = -(-len(measured) // 50)
    shown = [(number, one) for number, one in enumerate(measured, 1) if number % step == 0 or number == 1]
    most = max(one["bytes"]["all"] for one in measured)
    lines = [
        f"run {number:>4}  {'█' * round(_WIDTH * one['bytes']['all'] / most):<{_WIDTH}}  {size(one['bytes']['all']):>7}  {one['runs']} runs"
        for number, one in shown
    ]
    last = measured[-1]["bytes"]
    return [*lines, "after the last run: " + ", ".join(f"{part} {size(last[part])}" for part in _PARTS)]
