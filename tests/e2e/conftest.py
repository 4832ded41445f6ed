"""Whole pipelines, run as a user runs them: by the `din` command, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DIN = Path(sys.executable).parent / "din"
AUC = "evaluation.thresholds.auc"
TINY = ["training.epochs=2", "training.batch_size=128", f"{AUC}.at_least=0.5", f"{AUC}.worse_by_at_most=0.5", "serving.poll_seconds=0"]


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON object on stdout, which must be all that is there."""
        return json.loads(self.out)


def din(*args: Any, command: tuple[str, ...] = (str(DIN),), cwd: Path | None = None) -> Result:
    done = subprocess.run([*command, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=600)
    return Result(done.returncode, done.stdout, done.stderr)


def run(workspace: Path, data: Path | None = None, settings: tuple[str, ...] = (), config: str | None = None, **kwargs: Any) -> Result:
    """`din run --json` with settings for tiny data."""
    where = [*(["--config", config] if config else []), *(["--data", data] if data else []), "--workspace", workspace]
    return din("run", "--json", *where, *(f"--set={setting}" for setting in [*TINY, *settings]), **kwargs)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 synthetic impressions."""
    out = tmp_path_factory.mktemp("data") / "tiny"
    made = din("synth", "--examples", 5000, "--users", 100, "--items", 60, "--categories", 6, "--out", out)
    assert made.code == 0, made.err
    return out


class TwoRuns(NamedTuple):
    workspace: Path
    data: Path
    first: Result
    second: Result

    @property
    def serving(self) -> Path:
        return self.workspace / "serving" / "default"


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> TwoRuns:
    """A first run, and a second one whose model meets the first as its baseline."""
    workspace = tmp_path_factory.mktemp("workspace")
    return TwoRuns(workspace, tiny_data, run(workspace, tiny_data), run(workspace, tiny_data, ("training.seed=1",)))
