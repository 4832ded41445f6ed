"""Two runs side by side."""

from pathlib import Path
from typing import Any

from components.base.atomic_files import write_whole
from components.evaluation.metrics.catalogue import REPORTED
from pipeline.report.charts.chart_style import Chart
from pipeline.report.charts.curve_charts import curve_charts
from pipeline.report.charts.training_charts import validation_charts
from pipeline.report.content import Content, read_content
from pipeline.report.render_html import Section, render_page
from pipeline.report.sections.config_differences import differences
from pipeline.report.sections.metric_rows import estimate, overall
from pipeline.report.sections.slice_table import slice_table
from pipeline.report.text_format import VERDICTS, metric_meaning, metric_name, verdict_reasons

_SECTIONS = (
    Section("metrics", "Metrics"),
    Section("configuration", "Configuration"),
    Section("slices", "Slices"),
    Section("curves", "Calibration and ranking"),
    Section("training", "Training"),
)


def read_comparison(first: Path, second: Path, workspace: Path) -> dict[str, Any]:
    """Two runs' content, and what differs, as plain JSON.

    Raises:
        InputError: As `read_content`.
    """
    return _compare(read_content(first, workspace), read_content(second, workspace))


def write_comparison(first: Path, second: Path, workspace: Path, out: Path) -> Path:
    """Writes two runs side by side into one HTML file, as `write_report` does one run.

    Returns:
        `out`.

    Raises:
        InputError: As `write_report`.
    """
    one, other = read_content(first, workspace), read_content(second, workspace)
    write_whole(out, [_render(one, other)])
    return out


def _compare(first: Content, second: Content) -> dict[str, Any]:
    return {
        "runs": [first.as_json(), second.as_json()],
        "metrics": _metrics(first, second),
        "configuration": [difference._asdict() for difference in _configuration(first, second)],
    }


def _render(first: Content, second: Content) -> str:
    names = [content.summary["run_id"] for content in (first, second)]
    slices = _slices(first, second)
    return render_page(
        f"{names[0]} beside {names[1]}",
        "comparison",
        _SECTIONS,
        charts=_charts(first, second),
        slices={**slice_table(slices), "against": names[0]} if slices else None,
        runs=[
            {**content.summary, "verdict": VERDICTS[content.summary["status"]], "reasons": verdict_reasons(content.summary)}
            for content in (first, second)
        ],
        metrics=_metrics(first, second),
        configured=first.config is not None and second.config is not None,
        configuration=_configuration(first, second),
    )


def _metrics(first: Content, second: Content) -> list[dict[str, Any]]:
    """A row a metric that either run has: both estimates, and second − first where both are known."""
    one, other = overall(first), overall(second)
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


def _slices(first: Content, second: Content) -> list[dict[str, Any]]:
    """The second run's slices that the first has too, with the first as their baseline."""
    known = {entry["slice"]: entry["metrics"] for entry in (first.evaluation or {}).get("slices") or []}
    return [
        {**entry, "metrics": {name: _beside(found, known[entry["slice"]].get(name)) for name, found in entry["metrics"].items()}}
        for entry in (second.evaluation or {}).get("slices") or []
        if entry["slice"] in known
    ]


def _beside(found: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """An estimate with its interval, and another run's in place of the baseline's."""
    compared = estimate(found["value"], other["value"] if other else None)
    return {**compared, "low": found["low"], "high": found["high"]}


def _charts(first: Content, second: Content) -> dict[str, list[Chart]]:
    names = [content.summary["run_id"] for content in (first, second)]
    curves: list[Any] = [((content.evaluation or {}).get("curves") or {}).get("candidate") for content in (first, second)]
    trainings: list[Any] = [content.details.get("training") for content in (first, second)]
    return {
        "curves": curve_charts(dict(zip(names, curves, strict=True))) if all(curves) else [],
        "training": validation_charts((names[0], trainings[0]), (names[1], trainings[1])) if all(trainings) else [],
    }
