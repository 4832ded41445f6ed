"""The log of `din bench faults`, what it counts, and how commands are ended."""

import os
import signal

import pytest

from benchmarks.faults import killed_command
from benchmarks.faults.killed_command import Started
from benchmarks.faults.kills import _last_step, summarise
from benchmarks.measurement_log import append, read_log


def test_a_log_goes_on_after_its_last_whole_line(tmp_path):
    log = tmp_path / "new" / "log.jsonl"
    assert read_log(log) == []
    append(log, {"number": 0})
    with open(log, "a") as file:
        file.write('{"number": 1, "act": "pu')  # the test itself was killed
    assert read_log(log) == [{"number": 0}]
    append(log, {"number": 1})
    assert read_log(log) == [{"number": 0}, {"number": 1}]


@pytest.mark.parametrize(
    ("out", "step"),
    [
        ("", ""),
        ("Run 20261127-182642-demo\n", ""),
        ("Run a\n  check data            3.1 s        1,448 examples/s\n  StatisticsGen.span-1      14.1 s  \n", "StatisticsGen.span-1"),
        ("  DataGate  0.4 s   cached\nPushed: version 5.\n  log   workspace/runs/a/log.txt\n", "DataGate"),
    ],
)
def test_the_last_step_that_a_run_has_shown(out, step):
    assert _last_step(out) == step


def test_the_counts():
    """A cycle of six commands, of which the first was killed twice and the last one once, and the beginning of another one."""
    acts = ("push", "push", "push", "canary", "promote", "push", "rollback", "rollback", "rollback", "push")
    entries = [
        {
            "command": n,
            "act": act,
            "killed": n in (0, 1, 7),
            "code": 0,
            "after": "Trainer" if n else "",
            "findings": [],
            "bytes": {"a": n, "b": 10},
        }
        for n, act in enumerate(acts)
    ]
    entries[3]["findings"] = ["something was left"]
    assert summarise(entries) == {
        "kills": {"push": 2, "rollback": 1},
        "ended": {"push": 3, "canary": 1, "promote": 1, "rollback": 2},
        "after": {"": 1, "Trainer": 2},
        "findings": ["command 3 (canary): something was left"],
        "bytes_after_cycles": [18],
    }


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes `din` a shell script."""

    def make(text):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "din").write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / "din").chmod(0o755)
        monkeypatch.setattr(killed_command.sys, "executable", str(tmp_path / "bin" / "python"))

    return make


def test_a_command_that_ends_by_itself(program, tmp_path):
    program('echo "$TMPDIR $1 $A"; echo no >&2; exit 3')
    ended = Started(["run"], tmp_path / "tmp", {"A": "b"}).end()
    assert (ended.code, ended.out, ended.err, ended.alive, ended.killed) == (3, f"{tmp_path / 'tmp'} run b\n", "no\n", [], False)


def test_a_kill_reaches_all_processes_of_the_group(program, tmp_path):
    program("sleep 1000 & echo ready; wait")
    started = Started([], tmp_path / "tmp")
    started.wait_for("ready")
    ended = started.end(after=0)
    assert ended.killed and ended.alive == []


def test_another_signal(program, tmp_path):
    program("trap 'exit 1' TERM; echo ready; while :; do sleep 0.01; done")
    started = Started([], tmp_path / "tmp")
    started.wait_for("ready")
    assert started.end(after=0, send=signal.SIGTERM).code == 1


def test_a_process_that_leaves_the_group_is_found(program, tmp_path, monkeypatch):
    """A process may have a group of its own in the same session, as the loader of models has."""
    monkeypatch.setattr(killed_command, "_GONE_SECONDS", 0.0)
    program("set -m; sleep 1000 & echo $! > child; echo ready; wait")
    monkeypatch.chdir(tmp_path)
    started = Started([], tmp_path / "tmp")
    started.wait_for("ready")
    ended = started.end(after=0)
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert ended.killed and len(ended.alive) == 1
