"""The command that tells somebody how a run ended."""

import json
import os
import select
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.configuration.pipeline_config import NotifyConfig
from pipeline.records.summary import Summary
from pipeline.run.ending.notify import notify

WRITE = "import json, os, sys; json.dump([json.load(sys.stdin), os.environ['DIN_STATUS'], os.environ['DIN_RUN']], open(sys.argv[1], 'w'))"


def ended(status: str) -> Summary:
    summary = Summary(run_id="r1", name="demo")
    summary.end(status, "AUC is low; see mysql://din:pa55@db/m and $(touch x)")
    return summary


def test_the_command_gets_the_summary(tmp_path):
    told = tmp_path / "told.json"
    config = NotifyConfig(command=(sys.executable, "-c", WRITE, str(told)))
    assert notify(config, ended("refused")) is None
    content, status, run = json.loads(told.read_text())
    assert (content["status"], content["exit_code"], status, run) == ("refused", 3, "refused", "r1")
    assert content["refused_because"] == "AUC is low; see mysql://din:***@db/m and $(touch x)"


def test_other_endings_are_not_told(tmp_path):
    config = NotifyConfig(command=(sys.executable, "-c", WRITE, str(tmp_path / "told.json")))
    assert notify(config, ended("pushed")) is None
    assert notify(NotifyConfig(), ended("failed")) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("/no/such/program",), "notify.command '/no/such/program' cannot be started (No such file or directory): nobody was told."),
        (("sh", "-c", "exit 7"), "notify.command 'sh' ended with exit status 7: the log has its output."),
        (("sleep", "60"), "notify.command 'sleep' was ended after 0.05 seconds (notify.seconds): maybe nobody was told."),
    ],
)
def test_a_command_that_fails_is_one_sentence(command, sentence):
    assert notify(NotifyConfig(command=command, seconds=0.05 if command[0] == "sleep" else 60), ended("failed")) == sentence


def test_what_the_command_started_ends_with_it(tmp_path):
    os.mkfifo(tmp_path / "child")
    waits = f"echo $$ > {tmp_path / 'child'}; exec sleep 60"
    config = NotifyConfig(command=("sh", "-c", f"sh -c '{waits}' & wait"), seconds=1)
    with ThreadPoolExecutor() as threads:
        told = threads.submit(notify, config, ended("failed"))
        child = os.pidfd_open(int((tmp_path / "child").read_text()))
        assert "was ended after 1 seconds" in str(told.result())
    assert select.select([child], [], [], 60)[0]  # a process that has ended
    os.close(child)
