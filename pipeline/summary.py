"""What a run leaves behind: `summary.json`, and the table on the terminal."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table

from pipeline.errors import InputError
from pipeline.files import write_whole
from pipeline.metrics import REPORTED

Status = Literal["pushed", "unchanged", "refused", "data_refused", "failed", "interrupted"]

TOLD_ON_STDERR: tuple[Status, ...] = ("data_refused", "failed")  # errors; a refusal is a result

EXIT_CODES: dict[Status, int] = {"pushed": 0, "unchanged": 0, "refused": 3, "data_refused": 2, "failed": 1, "interrupted": 1}


class Summary(BaseModel):
    """The contract of `din run --json` (shared with every check): what a run did not reach is null."""

    run_id: str
    name: str
    status: Status = "failed"
    exit_code: int = EXIT_CODES["failed"]
    started: str = ""
    data: str | None = None
    examples: dict[str, int] | None = None
    metrics: dict[str, float | None] | None = None
    oracle: dict[str, float | None] | None = None
    baseline: dict[str, Any] | None = None
    thresholds: list[dict[str, Any]] | None = None
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
        """How the run ended, and why if it did not end well."""
        self.status, self.refused_because = status, reason
        self.exit_code = EXIT_CODES[status] if exit_code is None else exit_code

    def write(self, workspace: Path) -> None:
        """Writes `runs/<run id>/summary.json` and `latest.json`, each whole or not at all."""
        for path in (workspace / "runs" / self.run_id / "summary.json", workspace / "latest.json"):
            write_whole(path, [self.model_dump_json(indent=2), "\n"])


def read_summaries(workspace: Path) -> list[Summary]:
    """The summaries of all runs of a workspace, oldest first; one that cannot be read stands as a failed run.

    Raises:
        InputError: There is no such folder.
    """
    if not workspace.is_dir():
        raise InputError(f"{workspace} is no folder: name a workspace with --workspace, or start a run with din run.")
    return [_read_summary(path) for path in sorted(workspace.glob("runs/*/summary.json"))]


def _read_summary(path: Path) -> Summary:
    try:
        return Summary.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        return Summary(run_id=path.parent.name, name="?", refused_because=f"{path} cannot be read ({type(error).__name__})")


def runs_table(summaries: list[Summary]) -> Table:
    """The runs of a workspace, one a line."""
    table = Table("run", "status", "AUC", "log loss", "pushed", "seconds", "why not")
    for run in summaries:
        metrics, seconds = run.metrics or {}, run.seconds or {}
        figures = (number(metrics.get("auc")), number(metrics.get("log_loss")))
        total = f"{seconds.get('total', 0):.0f}"
        table.add_row(run.run_id, run.status, *figures, str(run.pushed_version or ""), total, run.refused_because or "")
    return table


def number(value: float | None) -> str:
    """Four decimals, or a dash where there is no figure."""
    return "–" if value is None else f"{value:.4f}"


def share_of_oracle(auc: float | None, oracle: float | None) -> float | None:
    """(AUC − 0.5) / (AUC of the oracle − 0.5); None where there is no oracle or nothing to learn."""
    return None if auc is None or oracle is None or oracle < 0.55 else (auc - 0.5) / (oracle - 0.5)


def _metrics_table(summary: Summary) -> Table:
    table = Table(title=f"eval split, {(summary.examples or {}).get('eval', 0):,} impressions", title_justify="left")
    columns: dict[str, dict[str, Any]] = {"model": summary.metrics or {}}
    if summary.baseline:
        columns[f"baseline {summary.baseline['version']}"] = summary.baseline["metrics"]
    if summary.oracle:
        columns["oracle"] = summary.oracle
    table.add_column("metric")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("thresholds")
    for metric in REPORTED:
        if any(values.get(metric) is not None for values in columns.values()):
            rules = [_rule(row) for row in summary.thresholds or [] if row["metric"] == metric]
            table.add_row(metric, *(number(values.get(metric)) for values in columns.values()), "; ".join(rules))
    return table


def _rule(row: dict[str, Any]) -> str:
    return f"{row['rule']}: {'ok' if row['passed'] else 'FAILED'}"


def _verdict(summary: Summary) -> str:
    reason = summary.refused_because or ""
    return {
        "pushed": f"Pushed: version {summary.pushed_version} is ready for TF Serving.",
        "unchanged": f"Unchanged: version {summary.pushed_version} already serves these very weights.",
        "refused": f"Refused, nothing was pushed: {reason}",
        "interrupted": "Interrupted: the next run goes on from what is done.",
    }[summary.status]


def _predictions_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="five impressions of the eval split", title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def print_summary(summary: Summary, console: Console) -> None:
    """Metrics against thresholds, oracle and baseline; the verdict in words; where things are."""
    console.print()
    if summary.metrics:
        console.print(_metrics_table(summary))
        share = share_of_oracle(summary.metrics.get("auc"), (summary.oracle or {}).get("auc"))
        if share is not None:
            console.print(f"AUC lift: {share:.1%} of the oracle's, the most that any model can expect.", highlight=False)
    if summary.sample_predictions:
        console.print(_predictions_table(summary.sample_predictions))
    if summary.status not in TOLD_ON_STDERR:
        style = "bold green" if summary.exit_code == 0 else "bold red"
        console.print(_verdict(summary), style=style, highlight=False, soft_wrap=True)
    for label, path in (
        ("model", summary.pushed_path or summary.model_path),
        ("TFMA result", summary.tfma_path),
        ("schema", summary.schema_path),
        ("report", summary.report_path),
        ("log", summary.log_path),
    ):
        if path:
            console.print(f"  {label:<17}{_from_here(Path(path))}", highlight=False, soft_wrap=True)
