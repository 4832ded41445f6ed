"""What the parent tells its workers, and what they tell it: files in a folder that only they use."""

import json
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from din_trainer.exchange.mesh import Address

CLUSTER = "TF_CONFIG"  # the variable that names the workers of a cluster, and which of them this machine is
_JOB, _PROGRESS, _RESULT, _ERROR = "job.json", "progress.jsonl", "result.json", "error-{}.json"


def workers_here(workers: int) -> int:
    """How many of the workers of a training run on this machine."""
    return 1 if CLUSTER in os.environ else workers


class Job(NamedTuple):
    """A training by several workers.

    Attributes:
        config: The configuration as JSON.
        transform_output: The folder of the Transform graph.
        train_files: As for `fit`.
        validation_files: As for `fit`.
        log_dir: As for `fit`.
        checkpoint_dir: As for `fit`.
        start: The paths of a `StartModel`, as for `fit`.
        addresses: Where each worker listens.
        key: The secret of their connections.
        first: The first worker of this machine, which hands over the model and reports progress.
    """

    config: str
    transform_output: str
    train_files: list[str]
    validation_files: list[str]
    log_dir: str | None
    checkpoint_dir: str
    start: tuple[str, ...] | None
    addresses: list[Address]
    key: str
    first: int


class JobFolder:
    """The folder of a job.

    Args:
        folder: An empty folder.

    Attributes:
        path: The folder.
        model_file: Where the first worker leaves the trained model.
    """

    def __init__(self, folder: Path):
        self.path = folder
        self.model_file = folder / "trained.keras"
        self._shown = 0  # bytes of the progress that were read

    def write_job(self, job: Job) -> None:
        (self.path / _JOB).write_text(json.dumps(job))

    def read_job(self) -> Job:
        job = Job(*json.loads((self.path / _JOB).read_text()))
        return job._replace(addresses=[place if isinstance(place, str) else (place[0], place[1]) for place in job.addresses])

    def write_result(self, epochs: list[dict[str, float]], warm_start: dict[str, Any] | None) -> None:
        (self.path / _RESULT).write_text(json.dumps({"epochs": epochs, "warm_start": warm_start}))

    def read_result(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads((self.path / _RESULT).read_text())
        return result

    def write_error(self, worker: int, error: BaseException) -> None:
        """Keeps the kind of an error and its message."""
        (self.path / _ERROR.format(worker)).write_text(json.dumps([type(error).__name__, str(error)]))

    def take_errors(self) -> dict[int, tuple[str, str]]:
        """Returns the kinds and messages of errors by worker, and forgets them."""
        errors = {}
        for file in self.path.glob(_ERROR.format("*")):
            errors[int(file.stem.partition("-")[2])] = tuple(json.loads(file.read_text()))
            file.unlink()
        return errors

    def progress_handler(self) -> logging.Handler:
        """A handler that keeps records of the log for `new_progress`."""
        handler = logging.StreamHandler((self.path / _PROGRESS).open("a", buffering=1))
        handler.format = lambda record: json.dumps([record.levelno, record.getMessage()])  # type: ignore[method-assign]
        return handler

    def new_progress(self) -> list[tuple[int, str]]:
        """Returns the levels and messages that have come since the last call."""
        try:
            with (self.path / _PROGRESS).open("rb") as file:
                file.seek(self._shown)
                lines = file.read()
        except FileNotFoundError:
            return []
        lines = lines[: lines.rfind(b"\n") + 1]
        self._shown += len(lines)
        return [tuple(json.loads(line)) for line in lines.splitlines()]
