"""The cost of a run by step, without a run."""

import json
import subprocess
import sys

import pytest

from benchmarks.speed import run_cost
from components.base.errors import InputError
from tests.conftest import ROOT


def test_each_figure_is_the_median_of_its_own():
    runs = [{"check data": {"cpu": cpu, "wall": wall}} for cpu, wall in ((1.0, 9.0), (3.0, 5.0), (2.0, 7.0))]
    assert run_cost.medians(runs) == {"check data": {"cpu": 2.0, "wall": 7.0}}


def test_what_is_no_checkout_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"is no checkout of this repository: it has no pipeline/terminal.py\.$"):
        run_cost.main(1, tmp_path, as_json=True)


def test_no_runs_are_a_sentence():
    with pytest.raises(InputError, match=r"^--runs is 0: at least one run is needed\.$"):
        run_cost.main(0, None, as_json=True)


def test_the_steps_of_another_checkout_are_measured(tmp_path):
    """The other checkout here is a small one: its `din run` has two steps and is refused."""
    checkout = tmp_path / "checkout" / "pipeline"
    (checkout / "cli").mkdir(parents=True)
    for package in (checkout, checkout / "cli"):
        (package / "__init__.py").touch()
    (checkout / "terminal.py").write_text("class Progress:\n    def start(self, step): ...\n    def finish(self): ...\n")
    (checkout / "cli" / "main.py").write_text(
        "def main(arguments):\n"
        "    from pipeline.terminal import Progress\n"
        "    shown = Progress()\n"
        "    for step in arguments:\n"
        "        shown.start(step)\n"
        "        sum(range(10**6))\n"
        "        shown.finish()\n"
        "    return 3\n"
    )
    script = ROOT / "benchmarks" / "speed" / "run_steps.py"
    out = tmp_path / "steps.json"
    command = [sys.executable, "-P", str(script), str(out), "first", "second"]
    assert subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(checkout.parent)}).returncode == 3
    steps = json.loads(out.read_text())
    assert list(steps) == ["first", "second"]
    assert all(cost["cpu"] > 0 and cost["wall"] > 0 for cost in steps.values())
