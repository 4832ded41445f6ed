"""The summary of a run, `summary.json`: its fields, how a run can end, and how summaries are written and read."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from components.base.atomic_files import write_whole
from components.base.errors import InputError

Status = Literal["pushed", "unchanged", "refused", "data_refused", "failed", "interrupted"]

ERROR_STATUSES: tuple[Status, ...] = ("data_refused", "failed")  # printed to stderr; `refused` is a result of the run, no error

EXIT_CODES: dict[Status, int] = {"pushed": 0, "unchanged": 0, "refused": 3, "data_refused": 2, "failed": 1, "interrupted": 1}


class Summary(BaseModel):
    """What `din run --json` prints. Other programs read it, so fields keep their names and meanings. What a run did not reach is null."""

    run_id: str
    name: str
    status: Status = "failed"
    exit_code: int = EXIT_CODES["failed"]
    started: str = ""
    data: str | None = None
    examples: dict[str, int] | None = None
    metrics: dict[str, float | None] | None = None
    intervals: dict[str, list[float | None]] | None = None
    oracle: dict[str, float | None] | None = None
    stable_at_start: int | None = None
    baseline: dict[str, Any] | None = None
    thresholds: list[dict[str, Any]] | None = None
    sameness: dict[str, Any] | None = None
    loading: dict[str, Any] | None = None
    blessed: bool | None = None
    refused_because: str | None = None
    pushed_version: int | None = None
    pushed_path: str | None = None
    model_path: str | None = None
    tfma_path: str | None = None
    schema_path: str | None = None
    report_path: str | None = None
    log_path: str | None = None
    cached: list[str] = Field(default_factory=list)
    sample_predictions: list[dict[str, Any]] | None = None
    seconds: dict[str, Any] | None = None

    def end(self, status: Status, reason: str | None, exit_code: int | None = None) -> None:
        """Records how the run ended, why if it did not end well, and the exit code if it is not the usual one of the status."""
        self.status, self.refused_because = status, reason
        self.exit_code = EXIT_CODES[status] if exit_code is None else exit_code

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as plain JSON, with NaN and infinities as null."""
        return json.loads(json.dumps(self.model_dump(mode="json")), parse_constant=lambda _: None)

    def write(self, workspace: Path) -> None:
        """Writes `runs/<run id>/summary.json` and `latest.json`, each whole or not at all."""
        for path in (workspace / "runs" / self.run_id / "summary.json", workspace / "latest.json"):
            write_whole(path, [json.dumps(self.as_json(), indent=2), "\n"])


def read_summaries(workspace: Path) -> list[Summary]:
    """Reads the summaries of all runs of a workspace, oldest first. A summary that cannot be read is returned as a failed run.

    Raises:
        InputError: There is no such folder.
    """
    if not workspace.is_dir():
        raise InputError(f"{workspace} is no folder: name a workspace with --workspace, or start a run with din run.")
    return [_read_summary(path) for path in sorted(workspace.glob("runs/*/summary.json"))]


def _read_summary(path: Path) -> Summary:
    try:
        return Summary.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        return Summary(run_id=path.parent.name, name="?", refused_because=f"{path} cannot be read ({type(error).__name__})")
