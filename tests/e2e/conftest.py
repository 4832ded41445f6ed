"""Whole pipelines, run as a user runs them: by the `din` command, in a process of its own.

A run costs seconds, so tests share them: `runs` is one workspace in which several runs happened, in the order of its fields.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DIN = Path(sys.executable).parent / "din"
AUC = "evaluation.thresholds.auc"
SECRET = "s3cr3t"
HOOK = f'notify.command=["true", "https://hooks.example/ranking?token={SECRET}"]'
TINY = [
    "training.epochs=2",
    "training.batch_size=128",
    f"{AUC}.at_least=0.5",
    f"{AUC}.worse_by_at_most=0.5",
    "serving.poll_seconds=0",
    HOOK,
]
LIMIT = 600  # seconds, for a test with the runs that it waits for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(LIMIT))


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON object on stdout, which must be all that is there."""
        return json.loads(self.out)


def din(*args: Any, command: tuple[str, ...] = (str(DIN),), cwd: Path | None = None) -> Result:
    done = subprocess.run([*command, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=LIMIT)
    return Result(done.returncode, done.stdout, done.stderr)


def run(workspace: Path, data: Path | None = None, settings: tuple[str, ...] = (), config: str | None = None, **kwargs: Any) -> Result:
    """`din run --json` with settings for tiny data."""
    where = [*(["--config", config] if config else []), *(["--data", data] if data else []), "--workspace", workspace]
    return din("run", "--json", *where, *(f"--set={setting}" for setting in [*TINY, *settings]), **kwargs)


def interrupt(workspace: Path, data: Path) -> Result:
    """Ctrl-C in a run that trains for what would be hours.

    SIGINT's default is restored in the child: a shell starts background jobs with SIGINT ignored, and children inherit that.
    """
    endless = ["training.epochs=10000", "training.patience=10000"]
    command = [DIN, "run", "--data", data, "--workspace", workspace, *(f"--set={setting}" for setting in [*TINY, *endless])]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            shown = []
            for line in process.stdout:
                shown.append(line)
                if line.split()[:1] == ["Transform"]:  # its last line: Trainer is next
                    process.send_signal(signal.SIGINT)
                    break
            rest, errors = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Result(process.returncode, "".join(shown) + rest, errors)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 synthetic impressions."""
    out = tmp_path_factory.mktemp("data") / "tiny"
    made = din("synth", "--examples", 5000, "--users", 100, "--items", 60, "--categories", 6, "--out", out)
    assert made.code == 0, made.err
    return out


class Runs(NamedTuple):
    """One workspace: a run that is interrupted, one that goes on from there and is pushed, and one that meets that model as its baseline.

    `after_interrupt` is what `latest.json` said after the first of them.
    """

    workspace: Path
    data: Path
    interrupted: Result
    after_interrupt: dict[str, Any]
    first: Result
    second: Result

    @property
    def serving(self) -> Path:
        return self.workspace / "serving" / "default"


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Runs:
    workspace = tmp_path_factory.mktemp("workspace")
    interrupted = interrupt(workspace, tiny_data)
    latest = json.loads((workspace / "latest.json").read_text())
    first = run(workspace, tiny_data)
    return Runs(workspace, tiny_data, interrupted, latest, first, run(workspace, tiny_data, ("training.seed=1",)))
