"""Shows the results of a suite to people: as tables on the terminal, and as a Markdown file with all that is needed to check them."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from benchmarks.quality.compared_models import PEERS
from benchmarks.quality.model_table import figure
from benchmarks.quality.paired_intervals import CONFIDENCE, REPLICATES
from benchmarks.suite.provenance import differing_versions
from pipeline.console import Console

HEADER = (
    *("model", "AUC", "GAUC", "log loss", "AUC, validation"),
    *("RelaImpr, AUC", "RelaImpr, GAUC", "AUC − DIN's", "GAUC − DIN's", "training"),
)
WIDTH = 214
_PROTOCOL = (
    "Models are selected on validation/ (AUC, early stopping, the best epoch's weights) and judged once on eval/. ± is the standard "
    "deviation over the seeds; RelaImpr is the paper's equation 11, over Base."
)
_INTERVALS = (
    f"In brackets: {CONFIDENCE:.0%} intervals of the mean difference over the seeds. They cover other users and other seeds: the variance "
    f"is that over {REPLICATES} draws of the users of eval/, the same for all models and seeds, plus the variance of the mean over "
    "the seeds (s² / n). They use Student's t with Welch's and Satterthwaite's degrees of freedom. With one seed there is no interval, and "
    "nothing is decided."
)
_PEERS = (
    "DeepCTR's DIN is trained with the textbook's Adam, from embeddings drawn from N(0, 1e-4) (1e-4 is the standard deviation), regardless "
    "of the configuration."
)
_IMPROVING = "* Still improving at the last epoch allowed, with at least one seed: more epochs may do better."


def model_cells(row: dict[str, Any]) -> list[str]:
    """Returns the cells of a model's row, in the order of `HEADER`."""
    figures = [figure(row[metric]) for metric in ("auc", "gauc", "log_loss", "validation_auc")]
    improvements = ["–" if value is None else f"{value:+.2%}" for value in row["rela_impr"].values()]
    return [_title(row), *figures, *improvements, *map(difference_text, row["less_din"].values()), f"{row['seconds']:.1f} s"]


def _title(row: dict[str, Any]) -> str:
    return row["title"] + ("*" if any(row["still_improving"]) else "")


def _is_marked(data: dict[str, Any]) -> bool:
    return any(any(row["still_improving"]) for row in data["models"])


def difference_text(found: dict[str, Any] | None) -> str:
    """Returns a difference with its interval as text."""
    if found is None:
        return "–"
    interval = "" if found["low"] is None else f" [{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"{found['difference']:+.4f}{interval}"


def claim_text(claim: dict[str, Any]) -> str:
    """Returns a claim, its verdict and the difference that it is judged by as text."""
    return f"{claim['claim']}: {claim['verdict']} (AUC {difference_text(claim)})"


def print_results(results: dict[str, Any], console: Console) -> None:
    """Prints a table and the claims for each data set, and what was not run."""
    for data in results["data"]:
        title = f"{data['title']}: eval split, seeds {', '.join(map(str, results['seeds']))}, mean ± standard deviation"
        table = Table(*HEADER[:1], title=title, title_justify="left")
        for name in HEADER[1:]:
            table.add_column(name, justify="right")
        for row in data["models"]:
            table.add_row(*model_cells(row))
        console.print(table)
        if _is_marked(data):
            console.print(f"  {_IMPROVING}", highlight=False, markup=False)
        for claim in data["claims"]:
            console.print(f"  {claim_text(claim)}", highlight=False, markup=False)
    for missing in results["not_run"]:
        console.print(f"Not run: {missing['what']}: {missing['why']}", highlight=False, markup=False, soft_wrap=True)


def to_markdown(results: dict[str, Any]) -> str:
    """Returns all results as Markdown."""
    lines = [
        f"# Quality: the suite {results['suite']}{', in part' if results['partial'] else ''}",
        "",
        f"Made by `{results['command']}`, seeds {', '.join(map(str, results['seeds']))}. {_PROTOCOL}",
        "",
        _INTERVALS,
        "",
        *([_PEERS, ""] if any(row["name"] in PEERS for data in results["data"] for row in data["models"]) else []),
        f"Versions: {', '.join(f'{name} {version}' for name, version in results['versions'].items())}.",
        "",
    ]
    if differing := differing_versions(results["data"], results["seeds"]):
        lines += ["Rows (model and seeds) by the versions that trained them:", ""]
        lines += [*(f"* {versions}: {'; '.join(rows)}" for versions, rows in differing.items()), ""]
    for data in results["data"]:
        lines += _data_section(data)
    if results["not_run"]:
        lines += ["## Not run", "", *(f"* {missing['what']}: {missing['why']}" for missing in results["not_run"]), ""]
    return "\n".join(lines)


def _data_section(data: dict[str, Any]) -> list[str]:
    lines = [f"## {data['title']}", "", *_table(HEADER, [model_cells(row) for row in data["models"]]), ""]
    if _is_marked(data):
        lines += [_IMPROVING.replace("*", "\\*", 1), ""]
    if data["claims"]:
        cells = [[claim["claim"], claim["verdict"], difference_text(claim), _by_seed(claim)] for claim in data["claims"]]
        lines += ["### Claims", "", *_table(("claim", "verdict", "difference of AUC", "by seed"), cells), ""]
    if data["published"]:
        lines += ["### Published", "", data["published"], ""]
    settings = "".join(f" `{setting}`" for setting in data["settings"])
    lines += [
        "### Data",
        "",
        *_bullets(data["manifest"]),
        f"* SHA-256 of the impressions: `{data['digest']}`",
        *([] if data["is_source_there"] else ["* The source does not exist any more: these are the impressions of an earlier import."]),
        "",
    ]
    lines += ["### Configuration", "", f"`{data['config']}`{settings}; each model adds its own settings:", ""]
    for row in data["models"]:
        settings, epochs = ", ".join(f"`{setting}`" for setting in row["settings"]), ", ".join(map(str, row["best_epochs"]))
        lines.append(f"* {row['title']}: {settings}; best epochs {epochs}")
    return [*lines, "", "```json", json.dumps(data["configuration"]), "```", ""]


def _by_seed(claim: dict[str, Any]) -> str:
    return ", ".join(f"{value:+.4f}" for value in claim["by_seed"])


def _bullets(values: dict[str, Any]) -> list[str]:
    return [f"* {name}: {_plain(value)}" for name, value in values.items() if name != "command"]


def _plain(value: Any) -> str:
    """Returns a value of a manifest as text."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(header: Iterable[str], rows: Iterable[list[str]]) -> list[str]:
    header = list(header)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
