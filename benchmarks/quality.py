"""How much the history adds, and how much attending to it adds: DIN, mean pooling and no history, trained and judged in the same way.

Each row is a whole pipeline run on the same data with the same settings but `model.pooling`, in a workspace of its own, so that its figures
are those that `din run` prints.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.config import PipelineConfig, load_config
from pipeline.errors import InputError
from pipeline.run import LOG_FILE, Run, run_folder
from pipeline.summary import Summary, number, share_of_oracle
from pipeline.terminal import Progress, output_to

POOLINGS = {"attention": "DIN", "mean": "mean pooling", "none": "no history"}


def _run(config: PipelineConfig, data: Path | None, workspace: Path) -> Summary:
    """A run whose failure is the benchmark's."""
    with run_folder(workspace, config.name) as folder:
        summary = Run(config, data, folder, Progress(Console(quiet=True))).execute()
    if summary.status == "interrupted":
        raise KeyboardInterrupt
    if summary.metrics is None:
        raise InputError(f"{config.model.pooling}: {summary.refused_because}")
    return summary


def measure(source: str, settings: list[str], data: Path | None, workspace: Path, console: Console) -> list[dict[str, Any]]:
    """Runs the three models.

    Returns:
        A dict a model: name, auc, log_loss, lift (AUC − 0.5), share_of_oracle and share_of_din (of that lift), seconds.
    """
    rows: list[dict[str, Any]] = []
    for pooling, name in POOLINGS.items():
        console.print(f"{name} …", highlight=False)
        config = load_config(source, [*settings, f"model.pooling={pooling}"])
        summary = _run(config, data, workspace / pooling)
        data = Path(summary.data or "")  # the first run's: synthetic data is made once
        metrics, seconds = summary.metrics or {}, summary.seconds or {}
        auc = metrics["auc"] or 0.0
        rows.append(
            {
                "name": name,
                "auc": auc,
                "log_loss": metrics["log_loss"],
                "lift": auc - 0.5,
                "share_of_oracle": share_of_oracle(summary),
                "share_of_din": (auc - 0.5) / (rows[0]["lift"] if rows else auc - 0.5),
                "oracle": summary.oracle,
                "seconds": seconds["total"],
            }
        )
    return rows


def to_table(rows: list[dict[str, Any]]) -> Table:
    """The measurements, with the oracle as the last row where it is known."""
    table = Table("model", "AUC", "log loss", "lift / oracle's", "lift / DIN's", "run, s")
    for row in rows:
        share = "–" if row["share_of_oracle"] is None else f"{row['share_of_oracle']:.3f}"
        figures = (f"{row['auc']:.4f}", f"{row['log_loss']:.4f}", share, f"{row['share_of_din']:.3f}", f"{row['seconds']:.0f}")
        table.add_row(row["name"], *figures)
    if oracle := rows[0]["oracle"]:
        table.add_row("oracle", number(oracle["auc"]), number(oracle["log_loss"]), "1.000", "", "")
    return table


def main(source: str, settings: list[str], data: Path | None, as_json: bool) -> int:
    """Measures in a temporary workspace and prints a table or JSON."""
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder, output_to(Path(folder) / LOG_FILE) as terminal:
        rows = measure(source, settings, data, Path(folder), Console(file=terminal, quiet=as_json))
        if as_json:
            print(json.dumps({"rows": rows}), file=terminal)
        else:
            Console(file=terminal).print(to_table(rows))
    return 0
