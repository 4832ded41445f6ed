"""The results of a suite for people: tables on the terminal, and a Markdown file with all that is needed to check them."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.paired import CONFIDENCE, REPLICATES
from benchmarks.quality import figure

HEADER = ("model", "AUC", "GAUC", "log loss", "RelaImpr, AUC", "RelaImpr, GAUC", "AUC − DIN's", "GAUC − DIN's", "training")
WIDTH = 190
_PROTOCOL = (
    "Models are selected on validation/ (AUC, early stopping, the best epoch's weights) and judged once on eval/. ± is the standard "
    "deviation over the seeds; RelaImpr is the paper's equation 11, over Base."
)
_INTERVALS = (
    f"In brackets: {CONFIDENCE:.0%} intervals of the mean over the seeds, from {REPLICATES} draws of the users of eval/, the same for all "
    "models and seeds. They say what other users would change; what other seeds would change is the ± (standard deviation over the seeds)."
)


def model_cells(row: dict[str, Any]) -> list[str]:
    """A model's row, by `HEADER`."""
    figures = [figure(row[metric]) for metric in ("auc", "gauc", "log_loss")]
    improvements = ["–" if value is None else f"{value:+.2%}" for value in row["rela_impr"].values()]
    return [row["title"], *figures, *improvements, *map(difference_text, row["less_din"].values()), f"{row['seconds']:.1f} s"]


def difference_text(found: dict[str, Any] | None) -> str:
    """A difference with its interval."""
    if found is None:
        return "–"
    interval = "" if found["low"] is None else f" [{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"{found['difference']:+.4f}{interval}"


def claim_text(claim: dict[str, Any]) -> str:
    """A claim, its verdict and what it follows from."""
    return f"{claim['claim']}: {claim['verdict']} (AUC {difference_text(claim)})"


def print_results(results: dict[str, Any], console: Console) -> None:
    """Prints a table and the claims, a data set, and what was not run."""
    for data in results["data"]:
        title = f"{data['title']}: eval split, seeds {', '.join(map(str, results['seeds']))}, mean ± standard deviation"
        table = Table(*HEADER[:1], title=title, title_justify="left")
        for name in HEADER[1:]:
            table.add_column(name, justify="right")
        for row in data["models"]:
            table.add_row(*model_cells(row))
        console.print(table)
        for claim in data["claims"]:
            console.print(f"  {claim_text(claim)}", highlight=False, markup=False)
    for missing in results["not_run"]:
        console.print(f"Not run: {missing['what']}: {missing['why']}", highlight=False, markup=False, soft_wrap=True)


def to_markdown(results: dict[str, Any]) -> str:
    """All results as a Markdown file."""
    lines = [
        f"# Quality: the suite {results['suite']}",
        "",
        f"Made by `{results['command']}`, seeds {', '.join(map(str, results['seeds']))}. {_PROTOCOL}",
        "",
        _INTERVALS,
        "",
        f"Versions: {', '.join(f'{name} {version}' for name, version in results['versions'].items())}.",
        "",
    ]
    for data in results["data"]:
        lines += _data_section(data)
    if results["not_run"]:
        lines += ["## Not run", "", *(f"* {missing['what']}: {missing['why']}" for missing in results["not_run"]), ""]
    return "\n".join(lines)


def _data_section(data: dict[str, Any]) -> list[str]:
    lines = [f"## {data['title']}", "", *_table(HEADER, [model_cells(row) for row in data["models"]]), ""]
    if data["claims"]:
        cells = [[claim["claim"], claim["verdict"], difference_text(claim)] for claim in data["claims"]]
        lines += ["### Claims", "", *_table(("claim", "verdict", "difference of AUC"), cells), ""]
    if data["published"]:
        lines += ["### Published", "", data["published"], ""]
    settings = "".join(f" `{setting}`" for setting in data["settings"])
    lines += [
        "### Data",
        "",
        *_bullets(data["manifest"]),
        f"* SHA-256 of the impressions: `{data['digest']}`",
        "",
    ]
    lines += ["### Configuration", "", f"`{data['config']}`{settings}; each model's settings on top of it:", ""]
    for row in data["models"]:
        settings, epochs = ", ".join(f"`{setting}`" for setting in row["settings"]), ", ".join(map(str, row["best_epochs"]))
        lines.append(f"* {row['title']}: {settings}; best epochs {epochs}")
    return [*lines, "", "```json", json.dumps(data["configuration"]), "```", ""]


def _bullets(values: dict[str, Any]) -> list[str]:
    return [f"* {name}: {_plain(value)}" for name, value in values.items() if name != "command"]


def _plain(value: Any) -> str:
    """A value of a manifest in words."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(header: Iterable[str], rows: Iterable[list[str]]) -> list[str]:
    header = list(header)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
