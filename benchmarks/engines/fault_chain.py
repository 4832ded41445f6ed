"""A chain of runs on Flink that meet a fault in each node, and what is wrong after each of them."""

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engines.engine_equality import compare_analyses, compare_metrics, differences, newest
from benchmarks.engines.flink_cluster import FlinkCluster
from benchmarks.faults.killed_command import Ended, Started
from benchmarks.faults.kills import NAME, SETTINGS
from benchmarks.faults.workspace_state import WorkspaceState

NODES = {"StatisticsGen": "ImportSchemaGen", "Transform": "SliceColumns", "Evaluator": "Trainer"}  # each with the node before it
INTERRUPTS = ("SIGINT", "SIGTERM")  # these end a run, and the next one continues
BREAKS = ("worker", "taskmanager", "jobserver")  # after these the run itself must go on
COUNT = "none"  # no fault: the bundles are counted, and the seconds of the nodes
_COUNT_ONLY = {"bundle": 10**9, "after": 0.0}  # more bundles than any job has
_LONGEST_AFTER = 1.0  # seconds that a worker lives in the bundle in which it dies
_BACK = 5.0  # seconds until a killed part of the cluster is started again
_ARRIVING = 20.0  # seconds in which a job that the job server has begun to hand over reaches Flink
_CANCELLING = 60.0  # seconds that Flink may take to cancel a job: it waits for its tasks
_LOOK_SECONDS = 0.2
_MOST_RUNS = 5
_SENTENCE = re.compile(r"din: [^\n]+\n")
_INTERRUPTED = "Interrupted: the next run goes on"


def start_run(data: Path, workspace: Path, *options: str) -> Started:
    """Starts a small run, with a folder for temporary files beside the workspace."""
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items() if not key.startswith("synthetic.")]
    return Started(["run", "--workspace", str(workspace), "--data", str(data), *settings, *options], workspace.with_suffix(".tmp"))


class FaultChain:
    """Runs in one new workspace. A run that was interrupted is started again, until one has pushed a model.

    Args:
        name: The name of the workspace, from which the moments of the faults follow.
        plan: The fault that each node meets, once.
        folder: The folder of the workspace, with `data`, and with `reference`, a workspace of a run without a cluster.
        cluster: The running cluster.
        usual: The entry of a run without a fault. The faults happen within the time that it took.
    """

    def __init__(self, name: str, plan: dict[str, str], folder: Path, cluster: FlinkCluster, usual: dict[str, Any]):
        self._folder, self._cluster, self._usual = folder, cluster, usual
        self._workspace = folder / name
        temporary = self._workspace.with_suffix(".tmp")
        for place in (self._workspace, temporary):
            shutil.rmtree(place, ignore_errors=True)
        temporary.mkdir(parents=True)
        self._state = WorkspaceState(self._workspace, temporary)
        self._random = random.Random(name)
        self._left = dict(plan)

    def runs(self) -> Iterator[dict[str, Any]]:
        """Yields an entry for the log after each run.

        Before a run the cluster is made whole: a TaskManager ends itself if its task waits for a worker and cannot be cancelled.
        """
        for number in range(_MOST_RUNS):
            entry = {"run": number, **self._one_run(self._cluster.start())}
            yield entry
            if entry["code"] == 0:
                return

    def _one_run(self, options: Sequence[str]) -> dict[str, Any]:
        run = start_run(self._folder / "data", self._workspace, *options)
        try:
            met, ended = self._meet(run)
        except BaseException:
            run.end(after=0)
            raise
        return {
            "met": met,
            "code": ended.code,
            "seconds": round(ended.seconds, 1),
            "steps": _steps(ended.out),
            "said": (ended.err or "".join(ended.out.splitlines(keepends=True)[-1:])).strip()[-600:],
            "findings": list(self._findings(ended, interrupted=bool(met) and met[-1]["fault"] in INTERRUPTS)),
        }

    def _meet(self, run: Started) -> tuple[list[dict[str, Any]], Ended]:
        """Lets a run meet the faults that are left, as far as it gets. Returns what is to be logged, and how the run ended."""
        met: list[dict[str, Any]] = []
        for node, fault in list(self._left.items()):
            run.wait_for(f"  {NODES[node]} ")
            if not run.goes_on():
                break
            del self._left[node]
            moment = self._moment(node, fault)
            met.append({"node": node, "fault": fault, **moment})
            if fault in INTERRUPTS:
                met[-1]["hit"] = self._wait_for_moment(moment["seconds"], run)
                return met, run.end(0, signal.Signals[fault])
            met[-1] |= self._break(node, fault, moment, run)
        return met, run.end()

    def _moment(self, node: str, fault: str) -> dict[str, Any]:
        """When a fault happens: in a bundle, or seconds after its job has begun; uniform in half of what the node took without a fault."""
        if fault == COUNT:
            return _COUNT_ONLY
        if fault == "worker":
            bundles = next(met["bundles"] for met in self._usual["met"] if met["node"] == node)
            return {"bundle": self._random.randint(1, bundles), "after": round(self._random.uniform(0, _LONGEST_AFTER), 2)}
        return {"seconds": round(self._random.uniform(0, self._usual["steps"][node] / 2), 1)}

    def _wait_for_moment(self, seconds: float, run: Started) -> bool:
        """Waits for a job, and then for some seconds. Returns whether a job then goes on."""
        while run.goes_on() and not self._cluster.unfinished_jobs():
            time.sleep(_LOOK_SECONDS)
        time.sleep(seconds)
        return bool(self._cluster.unfinished_jobs())

    def _break(self, node: str, fault: str, moment: dict[str, Any], run: Started) -> dict[str, Any]:
        """Lets a part of the cluster die, and come back. Returns what is to be logged."""
        if "bundle" in moment:
            self._cluster.orders.give(moment["bundle"], moment["after"])
            run.wait_for(f"  {node} ")
            bundles, killed = self._cluster.orders.withdraw()
            return {"bundles": bundles, "hit": killed}
        hit = self._wait_for_moment(moment["seconds"], run)
        self._cluster.kill(self._random.choice(("taskmanager1", "taskmanager2")) if fault == "taskmanager" else fault)
        time.sleep(_BACK)
        self._cluster.start()
        return {"hit": hit}

    def _findings(self, ended: Ended, interrupted: bool) -> Iterator[str]:
        """What is wrong after a run."""
        yield from (f"a process was left: {process}" for process in ended.alive)
        if interrupted:
            time.sleep(_ARRIVING)
        yield from (f"the job {job} goes on without a client" for job in self._cluster.left_jobs(_CANCELLING))
        yield from (f"{path} was left" for path in self._workspace.rglob("*beam-temp*"))
        yield from self._state.after_run()
        if ended.code == 0:
            yield from differences(compare_analyses(self._workspace, self._folder / "reference", NAME))
            yield from self._wrong_metrics()
        elif not interrupted:
            yield f"exit status {ended.code}: {ended.err[-600:]}"
        elif not _SENTENCE.fullmatch(ended.err) and _INTERRUPTED not in ended.out:
            yield f"stderr is not one sentence: {ended.err[-600:]!r}"

    def _wrong_metrics(self) -> list[str]:
        """Evaluates the same model without the cluster. With another threshold the Evaluator is not cached."""
        ended = start_run(self._folder / "data", self._workspace, "--set=evaluation.thresholds.auc.at_least=0.11").end()
        evaluations = newest(self._workspace, NAME, "Evaluator", "evaluation")
        if ended.code or len(evaluations) < 2:
            return [f"the evaluation without the cluster ended with {ended.code}: {ended.err[-300:]}"]
        return differences([compare_metrics(evaluations[-2], evaluations[-1])])


def _steps(out: str) -> dict[str, float]:
    """The seconds of the steps that a run has shown."""
    return {step: float(seconds) for step, seconds in re.findall(r"^  (\S+) +(\d+\.\d) s", out, re.MULTILINE)}
