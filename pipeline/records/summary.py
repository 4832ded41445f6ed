"""The summary of a run, `summary.json`: its fields, how a run can end, and how summaries are written and read."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from components.base.atomic_files import write_whole
from components.base.secrets import hide_secrets

Status = Literal["started", "pushed", "unchanged", "refused", "data_refused", "failed", "interrupted", "killed"]

ERROR_STATUSES: tuple[Status, ...] = ("data_refused", "failed")  # printed to stderr; `refused` is a result of the run, no error

EXIT_CODES: dict[Status, int] = {
    "pushed": 0, "unchanged": 0, "refused": 3, "data_refused": 2, "failed": 1, "interrupted": 1, "killed": 1,
}  # fmt: skip

SUMMARY_FILE = "summary.json"  # in the folder of a run
LATEST_FILE = "latest.json"  # in a workspace


class Summary(BaseModel):
    """What `din run --json` prints. Other programs read it, so fields keep their names and meanings. What a run did not reach is null.

    `metrics`, `intervals`, `oracle` and the figures of the baseline and of the served model are those of the first label. If there are
    several labels, the fields `…_by_label` have those of all of them, by the label's name; with one label they are null.
    """

    run_id: str
    name: str
    status: Status = "started"
    exit_code: int | None = None
    started: str = ""
    data: str | None = None
    span: str | None = None
    spans: dict[str, Any] | None = None
    span_examples: dict[str, int] | None = None
    span_fingerprints: dict[str, str] | None = None
    served_on_new_data: dict[str, Any] | None = None
    served_on_new_data_by_label: dict[str, dict[str, float | None]] | None = None
    data_fingerprint: str | None = None
    drift: list[dict[str, Any]] | None = None
    examples: dict[str, int] | None = None
    metrics: dict[str, float | None] | None = None
    metrics_by_label: dict[str, dict[str, float | None]] | None = None
    intervals: dict[str, list[float | None]] | None = None
    intervals_by_label: dict[str, dict[str, list[float | None]]] | None = None
    oracle: dict[str, float | None] | None = None
    oracle_by_label: dict[str, dict[str, float | None]] | None = None
    stable_at_start: int | None = None
    warm_start: dict[str, Any] | None = None
    tuner: dict[str, Any] | None = None
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
    notes: list[str] = Field(default_factory=list)

    def end(self, status: Status, reason: str | None, exit_code: int | None = None) -> None:
        """Records how the run ended, why if it did not end well, and the exit code if it is not the usual one of the status."""
        self.status, self.refused_because = status, reason
        self.exit_code = EXIT_CODES[status] if exit_code is None else exit_code

    def as_json(self) -> dict[str, Any]:
        """Returns the fields as plain JSON, with NaN and infinities as null."""
        return json.loads(json.dumps(self.model_dump(mode="json")), parse_constant=lambda _: None)

    def write(self, workspace: Path) -> None:
        """Writes the summary into the folder of the run, and beside all runs as that of the latest one, each whole or not at all.

        Raises:
            InputError: A file cannot be written.
        """
        for file in (workspace / "runs" / self.run_id / SUMMARY_FILE, workspace / LATEST_FILE):
            self.write_to(file)

    def write_to(self, file: Path) -> None:
        write_whole(file, [hide_secrets(json.dumps(self.as_json(), indent=2)), "\n"])


def read_summary(file: Path) -> Summary:
    """Reads a summary as it was written. One that cannot be read is returned as that of a failed run.

    Raises:
        FileNotFoundError: There is no such file.
    """
    try:
        if file.is_fifo():  # it would be read for ever
            raise OSError(f"{file} is a FIFO")
        return Summary.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        unreadable = Summary(run_id=file.parent.name, name="?")
        unreadable.end("failed", f"{file} cannot be read ({type(error).__name__})")
        return unreadable
