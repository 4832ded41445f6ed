"""Kills `din run`, `din promote` and `din rollback` at random moments, and looks after each kill at what is left and at how work goes on.

A command is started again until it ends, and is killed up to three times on its way. Then it must have ended well. The moments are uniform
in the time that such a command took before.
"""

import json
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.killed_command import Ended, Started
from benchmarks.faults.workspace_state import WorkspaceState
from benchmarks.measurement_log import append, read_log
from components.base.errors import InputError
from components.serving.store.models_config import CANARY, STABLE
from components.serving.store.versions import sound_versions
from pipeline.datasets import synthetic
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.records.summary import LATEST_FILE
from pipeline.terminal import interrupt_on_sigterm, say

NAME = "faults"
_WORLD = SyntheticConfig(examples=1500, users=100, items=60, categories=6)
_CYCLE = ("push", "canary", "promote", "span", "rollback", "rollback")  # each cycle has data of its own; canary and span run over spans
_RUNS = ("push", "canary", "span")
_MOST_KILLS = 3  # of one command
_GUESS = {"push": 40.0, "canary": 60.0, "span": 60.0, "promote": 3.0, "rollback": 3.0}  # seconds, until one was measured
_NEVER_CACHED = {"InfraGate", "Verdict", "Pusher"}  # Verdict reads what InfraGate has measured anew
SETTINGS = {
    "name": NAME,
    "training.epochs": 1,
    "training.batch_size": 128,
    "evaluation.thresholds.auc.at_least": 0.1,
    "evaluation.thresholds.auc.worse_by_at_most": 0.9,
    "evaluation.thresholds.calibration.at_least": 0,
    "evaluation.thresholds.calibration.at_most": 1000,
    "evaluation.bootstrap.replicates": 20,
    "serving.poll_seconds": 0,
    "synthetic.examples": _WORLD.examples,
    "synthetic.users": _WORLD.users,
    "synthetic.items": _WORLD.items,
    "synthetic.categories": _WORLD.categories,
}
_WINDOW = 2  # spans of training before the one of the run


class KillTest:
    """The commands, the workspace and the log of a test.

    Args:
        log: The log. The workspace is beside it.

    Attributes:
        entries: What the log says.
    """

    def __init__(self, log: Path):
        self._log = log
        self._workspace = log.with_suffix(".workspace").absolute()
        self._temporary = log.with_suffix(".tmp").absolute()
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._state = WorkspaceState(self._workspace, self._temporary)
        self.entries = read_log(log)

    def step(self) -> dict[str, Any]:
        """Starts the next command, or the one that was killed, and kills it or lets it end. Logs what was wrong afterwards."""
        ended_before = sum(entry["code"] == 0 for entry in self.entries)
        act, cycle = _CYCLE[ended_before % len(_CYCLE)], ended_before // len(_CYCLE)
        killed = [entry for entry in self.entries if entry["command"] == ended_before and entry["killed"]]
        labels = killed[0]["labels"] if killed else self._state.labels(NAME)
        if ended_before % len(_CYCLE) == 0 and not killed:  # days come and go
            shutil.rmtree(self._workspace / "data", ignore_errors=True)
        arguments = self._arguments(act, ended_before, cycle, labels)
        moment = random.Random(f"{ended_before} {len(killed)}").uniform(0, self._usual_seconds(act))
        ended = Started(arguments, self._temporary).end(after=moment if len(killed) < _MOST_KILLS else None)
        entry: dict[str, Any] = {"command": ended_before, "act": act, "killed": ended.killed, "code": ended.code}
        entry |= {"seconds": round(ended.seconds, 2), "after": _last_step(ended.out), "labels": labels}
        findings = [f"a process was left: {process}" for process in ended.alive]
        if ended.killed:
            entry["done"] = sorted(self._done_nodes()) if act in _RUNS else []
            findings += self._state.after_kill()
        else:
            findings += self._wrong_ending(arguments, ended, labels, killed)
            findings += self._state.after_run()
        entry |= {"findings": findings, "bytes": self._state.bytes()}
        self.entries.append(entry)
        append(self._log, entry)
        return entry

    def _usual_seconds(self, act: str) -> float:
        return max([entry["seconds"] for entry in self.entries if entry["act"] == act][-6:], default=_GUESS[act])

    def _arguments(self, act: str, number: int, cycle: int, labels: dict[str, int]) -> list[str]:
        where = ["--workspace", str(self._workspace)]
        if act == "rollback":
            return ["rollback", *where, "--name", NAME, "--to", str(self._rolled_back_to(labels))]
        if act == "promote":
            return ["promote", *where, "--name", NAME]
        settings = {
            **SETTINGS,
            "synthetic.seed": cycle,
            "training.seed": number,
            "serving.push_to": "canary" if act == "canary" else "stable",
        }
        if act != "push":
            span = _WINDOW + 1 + 2 * cycle + (act == "span")
            where += ["--data", str(self._make_spans(span)), "--span", str(span), "--window", str(_WINDOW)]
        return ["run", *where, *(f"--set={key}={value}" for key, value in settings.items())]

    def _make_spans(self, last: int) -> Path:
        """Makes the spans up to a number that are not there yet. Returns their folder."""
        spans = self._log.with_suffix(".spans").absolute()
        for number in range(1, last + 1):
            if not (folder := spans / f"span-{number}").exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                synthetic.generate(_WORLD.model_copy(update={"seed": number}), folder, command="din bench faults")
        return spans

    def _rolled_back_to(self, labels: dict[str, int]) -> int:
        """The version that `din rollback` would choose; the stable one again if there is none before it."""
        earlier = [version for version in sound_versions(self._workspace / "serving" / NAME) if version < labels[STABLE]]
        return max(earlier, default=labels[STABLE])

    def _done_nodes(self) -> set[str]:
        runs = sorted(folder.name for folder in self._workspace.glob("runs/*/"))
        return self._state.done_nodes(runs[-1]) if runs else set()

    def _wrong_ending(self, arguments: list[str], ended: Ended, labels: dict[str, int], killed: Sequence[dict[str, Any]]) -> Iterator[str]:
        """Sentences about a command that did not end as it must.

        Args:
            arguments: Those of the command.
            ended: How it ended.
            labels: The labels before it was started for the first time.
            killed: The entries of its kills.
        """
        if ended.code != 0:
            yield f"exit status {ended.code}: {ended.err[-500:]}"
            return
        now = self._state.labels(NAME)
        if arguments[0] == "rollback" and set(now.values()) != {int(arguments[-1])}:
            yield f"the labels are {now} after the rollback to {arguments[-1]}, and were {labels} before it"
        if arguments[0] == "promote" and now[STABLE] != labels[CANARY]:
            yield f"the labels are {now} after the promotion, and were {labels} before it"
        if arguments[0] == "run":
            summary = json.loads((self._workspace / LATEST_FILE).read_text())
            if summary["status"] == "unchanged" and killed:  # the labels had moved before the kill
                return
            if summary["status"] != "pushed":
                yield f"the run ended with {summary['status']}: {summary['refused_because']}"
            done = {node for entry in killed for node in entry["done"]}
            if repeated := done - set(summary["cached"]) - _NEVER_CACHED:
                yield f"{sorted(repeated)} were complete and ran again"


def _last_step(out: str) -> str:
    """The last step that a run has shown as finished, with its seconds; empty if there is none."""
    steps = re.findall(r"^  (\S+(?: \S+)*) +\d+\.\d s", out, re.MULTILINE)
    return steps[-1] if steps else ""


def summarise(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts the kills of a log.

    Returns:
        `kills` and `ended` by command, `after`: kills by the last finished step, `findings`: each with the number of its command, and
        `bytes_after_cycles`: those of the workspace after each whole cycle.
    """
    killed, ended = ([entry for entry in entries if entry["killed"] is is_killed] for is_killed in (True, False))
    return {
        "kills": dict(Counter(entry["act"] for entry in killed)),
        "ended": dict(Counter(entry["act"] for entry in ended)),
        "after": dict(Counter(entry["after"] for entry in killed)),
        "findings": [f"command {entry['command']} ({entry['act']}): {finding}" for entry in entries for finding in entry["findings"]],
        "bytes_after_cycles": [sum(entry["bytes"].values()) for entry in ended[len(_CYCLE) - 1 :: len(_CYCLE)]],
    }


def main(kills: int, log: Path, as_json: bool) -> int:
    """Kills until the log has so many kills. Returns the exit status: 1 if something was wrong after one of them."""
    if kills < 1:
        raise InputError("--kills must be at least 1.")
    interrupt_on_sigterm()  # so that the command that runs is ended, too
    test, show = KillTest(log), partial(say, stream=sys.stderr if as_json else sys.stdout)
    while sum(entry["killed"] for entry in test.entries) < kills:
        entry = test.step()
        how = f"killed after {entry['seconds']:.1f} s" if entry["killed"] else f"ended in {entry['seconds']:.1f} s"
        show(f"{entry['command']:4} {entry['act']:8} {how}, last step {entry['after'] or '-'}: {len(entry['findings'])} findings")
        for finding in entry["findings"]:
            show(f"     {finding}")
        if not entry["killed"] and entry["code"]:
            break  # the commands after it need what it did; the next call starts it again
    found = summarise(test.entries)
    for line in [json.dumps(found)] if as_json else _lines(found):
        say(line)
    return 1 if found["findings"] else 0


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """What `summarise` found, for the terminal."""
    counts = ", ".join(f"{count} in {act}" for act, count in found["kills"].items())
    yield f"Kills: {sum(found['kills'].values())} ({counts}). Findings: {len(found['findings'])}."
    yield from (f"  {finding}" for finding in found["findings"])
    sizes = [f"{size / 1e6:.0f} MB" for size in found["bytes_after_cycles"]]
    if sizes:
        yield f"The workspace had {sizes[0]} after the first cycle of commands, and {sizes[-1]} after the last, number {len(sizes)}."
