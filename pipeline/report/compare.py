"""The comparison of two runs, as an HTML page or as JSON."""

from pathlib import Path
from typing import Any, NamedTuple

from components.base.atomic_files import write_whole
from components.evaluation.metrics.catalogue import REPORTED
from pipeline.report.charts.chart_style import Chart
from pipeline.report.charts.curve_charts import curve_charts
from pipeline.report.charts.training_charts import validation_charts
from pipeline.report.content import Content, read_content
from pipeline.report.content_by_label import content_by_label
from pipeline.report.render_html import Section, render_page
from pipeline.report.sections.config_differences import differences
from pipeline.report.sections.metric_rows import estimate, overall
from pipeline.report.sections.slice_table import slice_table
from pipeline.report.shared_script import share_script
from pipeline.report.text_format import VERDICTS, metric_meaning, metric_name, verdict_reasons

_SECTIONS = (
    Section("metrics", "Metrics"),
    Section("configuration", "Configuration"),
    Section("slices", "Slices"),
    Section("curves", "Calibration and ranking"),
    Section("training", "Training"),
)


def read_comparison(first: Path, second: Path, workspace: Path) -> dict[str, Any]:
    """Returns the content of two runs and their differences, as plain JSON.

    Raises:
        InputError: As in `read_content`.
    """
    return _compare(read_content(first, workspace), read_content(second, workspace))


def write_comparison(first: Path, second: Path, workspace: Path, out: Path | None = None) -> Path:
    """Writes the comparison of two runs as an HTML file.

    Args:
        first: The folder of the first run.
        second: The folder of the second run.
        workspace: The workspace of both.
        out: As in `write_report`.

    Returns:
        The file.

    Raises:
        InputError: As in `write_report`.
    """
    one, other = read_content(first, workspace), read_content(second, workspace)
    page = out or second / f"beside-{first.name}.html"
    write_whole(page, [_render(one, other, None if out else share_script(workspace, page))])
    return page


def _compare(first: Content, second: Content) -> dict[str, Any]:
    labels = _by_label(first, second)
    return {
        "runs": [first.as_json(), second.as_json()],
        "metrics": _metrics(labels[0]),
        "metrics_by_label": {pair.label: _metrics(pair) for pair in labels} if labels[1:] else None,
        "configuration": [difference._asdict() for difference in _configuration(first, second)],
    }


def _render(first: Content, second: Content, script: str | None) -> str:
    names = [content.summary["run_id"] for content in (first, second)]
    labels = _by_label(first, second)
    slices = {pair.label: found for pair in labels if (found := _slices(pair))}
    return render_page(
        f"{names[0]} and {names[1]}",
        "comparison",
        _SECTIONS,
        charts=_charts(first, second, labels),
        slices={**slice_table(slices), "against": names[0]} if slices else None,
        failed=_failed(first, second),
        script=script,
        runs=[
            {**content.summary, "verdict": VERDICTS[content.summary["status"]], "reasons": verdict_reasons(content.summary)}
            for content in (first, second)
        ],
        labels=[{"name": pair.label, "rows": _metrics(pair)} for pair in labels],
        configured=first.config is not None and second.config is not None,
        configuration=_configuration(first, second),
    )


def _failed(first: Content, second: Content) -> dict[str, str]:
    """Returns why a part of either run's details could not be made."""
    found: dict[str, list[str]] = {}
    for content in (first, second):
        for name, reason in (content.details.get("failed") or {}).items():
            found.setdefault(name, []).append(f"{content.summary['run_id']}: {reason}")
    return {name: "; ".join(reasons) for name, reasons in found.items()}


class _Pair(NamedTuple):
    """The content of two runs about one label; None for a run that does not predict it."""

    label: str
    first: Content | None
    second: Content | None


def _by_label(first: Content, second: Content) -> list[_Pair]:
    """The first labels of both runs, whatever their names, then those that either has."""
    one, other = content_by_label(first), content_by_label(second)
    (name, *further), (other_name, *others) = one, other
    firsts = _Pair(other_name or name, one[name], other[other_name])
    return [firsts, *(_Pair(label, one.get(label), other.get(label)) for label in dict.fromkeys([*further, *others]))]


def _metrics(pair: _Pair) -> list[dict[str, Any]]:
    """Returns a row for each metric of either run: both estimates, and second − first if both are known."""
    one, other = (overall(content) if content else {} for content in (pair.first, pair.second))
    rows = []
    for name in REPORTED:
        a, b = (estimates.get(name) or estimate(None, None) for estimates in (one, other))
        if a["value"] is None and b["value"] is None:
            continue
        change = (estimate(b["value"], a["value"])["change"] or {}).get("value")
        rows.append(
            {"metric": name, "name": metric_name(name), "meaning": metric_meaning(name), "first": a, "second": b, "difference": change}
        )
    return rows


def _configuration(first: Content, second: Content) -> list[Any]:
    return differences(first.config or {}, second.config or {})


def _slices(pair: _Pair) -> list[dict[str, Any]]:
    """Returns the slices of the second run that the first run has as well, with the first run as their baseline."""
    first, second = ((content.evaluation or {}).get("slices") or [] if content else [] for content in (pair.first, pair.second))
    known = {entry["slice"]: entry["metrics"] for entry in first}
    return [
        {**entry, "metrics": {name: _beside(found, known[entry["slice"]].get(name)) for name, found in entry["metrics"].items()}}
        for entry in second
        if entry["slice"] in known
    ]


def _beside(found: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """Returns an estimate with its interval, with the value of another run as its baseline."""
    compared = estimate(found["value"], other["value"] if other else None)
    return {**compared, "low": found["low"], "high": found["high"]}


def _charts(first: Content, second: Content, labels: list[_Pair]) -> dict[str, list[Chart]]:
    names = [content.summary["run_id"] for content in (first, second)]
    trainings: list[Any] = [content.details.get("training") for content in (first, second)]
    return {
        "curves": [chart for pair in labels for chart in _curves(pair, names)],
        "training": validation_charts((names[0], trainings[0]), (names[1], trainings[1])) if all(trainings) else [],
    }


def _curves(pair: _Pair, names: list[str]) -> list[Chart]:
    contents = (pair.first, pair.second)
    curves: list[Any] = [content and ((content.evaluation or {}).get("curves") or {}).get("candidate") for content in contents]
    return curve_charts(dict(zip(names, curves, strict=True)), pair.label) if all(curves) else []
