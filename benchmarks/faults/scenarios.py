"""Runs on a full disk, in places that vanish or cannot be written, with a clock that is set back, beside another run, and with SIGTERM.

`python -m benchmarks.faults.scenarios --log FILE [NAME …]` needs root, since it mounts small file systems, and Debian's `faketime`. Every
fault must end with one sentence and the right exit status, and the next run must work.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.disk_use import disk_use
from benchmarks.faults.killed_command import Ended, Started
from benchmarks.faults.kills import NAME, SETTINGS
from benchmarks.faults.workspace_state import WorkspaceState
from benchmarks.measurement_log import append, read_log
from components.serving.store.versions import served_versions
from pipeline.records.run_list import read_summaries
from pipeline.terminal import interrupt_on_sigterm, say

_KILOBYTE, _MEGABYTE = 2**10, 2**20
_LARGE = 2000 * _MEGABYTE
_MARGINS = (0, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 640, 768, 1024, 1280, 1536, 2048, 3072, 4096, 6144, 8192)  # kB
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)\n"  # Python's own fails under libfaketime
_INTERRUPTED = "Interrupted: the next run goes on"  # what a run says on stdout after SIGTERM
_SENTENCE = re.compile(r"din: [^\n]+\n")
_STEPS = ("synthetic data", "check data", "ImportExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator", "Sameness", "Verdict")


class Scenario:
    """A fault with the commands around it.

    Args:
        name: Its name in the log.
        folder: A folder of its own.
        log: The log.
    """

    def __init__(self, name: str, folder: Path, log: Path):
        self.name = name
        self.place = folder / "place"
        self.workspace = self.place / "workspace"
        self._temporary = folder / "tmp"
        self._log = log
        self.state = WorkspaceState(self.workspace, self._temporary)
        self.findings: list[str] = []
        shutil.rmtree(folder, ignore_errors=True)
        self.place.mkdir(parents=True)
        self._temporary.mkdir()

    def start(self, *settings: str, environment: dict[str, str] | None = None) -> Started:
        """Starts a run with settings beside those of all runs."""
        given = [f"{key}={value}" for key, value in SETTINGS.items()]
        options = [f"--set={setting}" for setting in [*given, *settings]]
        return Started(["run", "--workspace", str(self.workspace), *options], self._temporary, environment)

    def expect(self, what: str, ended: Ended, codes: Sequence[int], after: Callable[[], Sequence[str]] | None = None) -> Ended:
        """Logs how a command ended, and what is wrong with it.

        Args:
            what: The fault, or what followed it.
            ended: The command.
            codes: The exit statuses that are right. Except for 0, stderr must then be one sentence, or stdout say that it was interrupted.
            after: Returns what is wrong with the workspace; None if it cannot be looked at.
        """
        wrong = [f"exit status {ended.code}: {ended.err[-600:]}"] if ended.code not in codes else []
        if ended.code > 0 and not _SENTENCE.fullmatch(ended.err) and _INTERRUPTED not in ended.out:
            wrong.append(f"stderr is not one sentence: {ended.err[-600:]!r}")
        wrong += [f"a process was left: {process}" for process in ended.alive]
        wrong += after() if after else []
        said = (ended.err or "".join(ended.out.splitlines(keepends=True)[-1:])).strip()
        entry = {
            "scenario": self.name,
            "fault": what,
            "code": ended.code,
            "seconds": round(ended.seconds, 1),
            "said": said,
            "findings": wrong,
        }
        append(self._log, entry)
        say(f"{self.name}: {what}: exit status {ended.code}, {len(wrong)} findings: {said[:200]}")
        for finding in wrong:
            say(f"    {finding}")
        return ended

    def must_work(self, *settings: str, what: str = "the next run") -> None:
        """Expects a run without a fault to be pushed."""
        self.expect(what, self.start(*settings).end(), [0], self.state.after_run)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", f"size={_LARGE}", "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def full_disk(scenario: Scenario) -> None:
    """The disk of the workspace fills up. It grows a little after each run, so that the next one fails at a later write."""
    with _small_disk(scenario.place):
        for kilobytes in _MARGINS:  # free beyond what is used
            _mount("-o", f"remount,size={_up(disk_use(scenario.place)) + kilobytes * _KILOBYTE}", str(scenario.place))
            ended = scenario.start().end()
            _mount("-o", f"remount,size={_LARGE}", str(scenario.place))
            scenario.expect(f"{kilobytes} kB free", ended, [0, 2], scenario.state.after_kill)
        scenario.must_work()


def _up(size: int) -> int:
    """The next whole page; tmpfs takes a size of 0 for no limit."""
    return max(size, 1) + -max(size, 1) % 4096


def read_only(scenario: Scenario) -> None:
    """The file system of the workspace cannot be written, from the beginning, and from the middle of a run on."""
    with _small_disk(scenario.place):
        _mount("-o", "remount,ro", str(scenario.place))
        scenario.expect("read-only from the beginning", scenario.start().end(), [2])
        _mount("-o", "remount,rw", str(scenario.place))
        scenario.must_work()


def vanishing_folders(scenario: Scenario) -> None:
    """Somebody deletes a folder while a run uses it. The next run has to go on from there, until the next folder vanishes."""
    for target, step in (
        ("data", "check data"),
        (f"artifacts/{NAME}", "StatisticsGen"),
        (f"artifacts/{NAME}/Transform", "Transform"),
        (f"serving/{NAME}", "Sameness"),
        ("metadata.sqlite", "ImportExampleGen"),
        ("runs", "ImportExampleGen"),
        ("", "Transform"),
    ):
        run = scenario.start(f"training.seed={len(target)}")
        run.wait_for(f"  {step}")
        _delete(scenario.workspace / target)
        scenario.expect(f"{target or 'the workspace'} vanishes after {step}", run.end(), [0, 1, 2], lambda: _but_claims(scenario))
    scenario.must_work()


def _but_claims(scenario: Scenario) -> list[str]:
    """What is wrong, except that versions have no run: the runs may have vanished."""
    return [finding for finding in scenario.state.after_kill() if not finding.endswith("no run claims it")]


def _delete(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def clock_set_back(scenario: Scenario) -> None:
    """The clock is set back by 30 days between two runs. Versions, runs and baselines must keep their order."""
    patch = scenario.place / "patch" / "sitecustomize.py"
    patch.parent.mkdir()
    patch.write_text(_SLEEP)
    path = f"{patch.parent}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    back = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": "-30d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": path}
    base = scenario.workspace / "serving" / NAME
    order: list[int] = []
    for number, environment in enumerate((None, back, back, None)):
        ended = scenario.start(f"training.seed={number}", environment=environment).end()
        scenario.expect(
            f"run {number}, {'30 days back' if environment else 'now'}", ended, [0], lambda: _out_of_order(base, order, scenario)
        )


def _out_of_order(base: Path, order: list[int], scenario: Scenario) -> list[str]:
    labels, summaries = scenario.state.labels(NAME), read_summaries(scenario.workspace)
    order.append(labels["stable"])
    wrong = [] if sorted(set(order)) == order else [f"the versions {order} do not grow"]
    if labels["stable"] != max(served_versions(base)):
        wrong.append(f"the labels are {labels}")
    if [summary.pushed_version for summary in summaries] != order:
        wrong.append(f"din runs lists {[summary.run_id for summary in summaries]}, which pushed {order} in this order")
    if len(order) > 1 and (summaries[-1].baseline or {}).get("version") != order[-2]:
        wrong.append(f"the baseline of the last run is {summaries[-1].baseline}, not {order[-2]}")
    return [*wrong, *scenario.state.after_run()]


def two_runs(scenario: Scenario) -> None:
    """A second run is started while one goes on."""
    first = scenario.start()
    first.wait_for("  synthetic data")
    scenario.expect("a second run", scenario.start().end(), [2])
    scenario.expect("the first run", first.end(), [0], scenario.state.after_run)


def sigterm(scenario: Scenario) -> None:
    """A scheduler ends a run: SIGTERM to all its processes, after each of some steps."""
    for step in ("Run ", *(f"  {step}" for step in _STEPS)):
        run = scenario.start("training.seed=1" if step.strip() in ("Run", "synthetic data") else f"training.seed={len(step)}")
        run.wait_for(step)
        codes = [0, 1] if step.strip() == _STEPS[-1] else [1]  # 0: the push is done
        scenario.expect(f"SIGTERM after {step.strip()}", run.end(after=0.3, send=signal.SIGTERM), codes, scenario.state.after_kill)
    scenario.must_work()


SCENARIOS = (full_disk, read_only, vanishing_folders, clock_set_back, two_runs, sigterm)


def main() -> int:
    """Runs the named scenarios, or all. Returns 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help=", ".join(call.__name__ for call in SCENARIOS))
    args = parser.parse_args()
    interrupt_on_sigterm()  # so that the run is ended and the disk unmounted
    chosen = [call for call in SCENARIOS if not args.names or call.__name__ in args.names]
    for call in chosen:
        call(Scenario(call.__name__, args.log.with_suffix(".scenarios").absolute() / call.__name__, args.log))
    entries: list[dict[str, Any]] = [entry for entry in read_log(args.log) if entry["scenario"] in {call.__name__ for call in chosen}]
    findings = sum(len(entry["findings"]) for entry in entries)
    say(f"{len(entries)} commands, {findings} findings.")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
