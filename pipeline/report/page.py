"""Writes the report of one run as HTML, which needs no network."""

from pathlib import Path
from typing import Any

from components.base.atomic_files import write_whole
from components.evaluation.metrics.catalogue import OVERALL
from pipeline.records.summary_tables import share_of_oracle
from pipeline.report.charts.activity_chart import activity_chart
from pipeline.report.charts.chart_style import Chart
from pipeline.report.charts.curve_charts import curve_charts, score_chart
from pipeline.report.charts.day_charts import day_charts
from pipeline.report.charts.history_charts import MOST_RUNS, history_charts
from pipeline.report.charts.importance_chart import importance_chart
from pipeline.report.charts.training_charts import training_charts
from pipeline.report.charts.tuning_chart import tuning_chart
from pipeline.report.content import REPORT_FILE, Content, read_content
from pipeline.report.content_by_label import content_by_label
from pipeline.report.render_html import Section, render_page
from pipeline.report.sections.attention_section import attention_view
from pipeline.report.sections.config_differences import flatten
from pipeline.report.sections.data_section import features_by_split
from pipeline.report.sections.drift_section import drift_tables
from pipeline.report.sections.metric_rows import metric_rows
from pipeline.report.sections.model_card import card_rows
from pipeline.report.sections.slice_table import slice_table
from pipeline.report.sections.trial_table import trial_rows
from pipeline.report.shared_script import share_script
from pipeline.report.text_format import VERDICTS, verdict_reasons

_MOST_GATES = 300  # thresholds on slices that a page shows, the failed ones first: the page must stay small

_SECTIONS = (
    Section("metrics", "Metrics"),
    Section("slices", "Slices"),
    Section("curves", "Calibration and ranking"),
    Section("activity", "GAUC by user activity"),
    Section("importance", "Features"),
    Section("attention", "Attention weights"),
    Section("training", "Training"),
    Section("data", "The data"),
    Section("card", "Model card"),
    Section("history", "History"),
)


def write_report(run_folder: Path, workspace: Path, out: Path | None = None) -> Path:
    """Writes the report of a run that has a summary.

    Args:
        run_folder: The folder of the run.
        workspace: The workspace of the run.
        out: The file, which has all that it needs. None writes into the folder of the run, with a link to the script of the workspace.

    Returns:
        The file.

    Raises:
        InputError: There is no such run, one of its files cannot be read, or the file cannot be written.
    """
    content, page = read_content(run_folder, workspace), out or run_folder / REPORT_FILE
    write_whole(page, [_render(content, None if out else share_script(workspace, page))])
    return page


def _render(content: Content, script: str | None) -> str:
    summary, evaluation, details = content.summary, content.evaluation or {}, content.details
    baseline = f"baseline {(summary['baseline'] or {}).get('version') or ''}".strip()
    labels, data = content_by_label(content), details.get("data")
    slices = {label: part.evaluation["slices"] for label, part in labels.items() if part.evaluation}
    slice_gates = sorted((gate for gate in summary["thresholds"] or [] if gate["slice"] != OVERALL), key=lambda gate: gate["passed"])
    return render_page(
        f"{summary['run_id']}: {VERDICTS[summary['status']]}",
        "report",
        _SECTIONS,
        charts=_charts(content, labels, baseline),
        slices={**slice_table(slices), "against": "baseline"} if slices else None,
        failed=details.get("failed") or {},
        script=script,
        summary=summary,
        baseline=baseline.capitalize(),
        confidence=evaluation.get("confidence"),
        replicates=evaluation.get("replicates"),
        reasons=verdict_reasons(summary),
        labels=[_label_view(label, part) for label, part in labels.items()],
        slice_gates=slice_gates[:_MOST_GATES],
        slice_gates_total=len(slice_gates),
        importance=details.get("importance"),
        trials=trial_rows(details.get("tuning") or []),
        attention=attention_view(details.get("attention") or [], content.config),
        data_details=data,
        data_features=features_by_split(data) if data else [],
        drift=drift_tables((data or {}).get("drift")),
        card=details.get("card") or {},
        card_rows=card_rows(content),
        config=sorted(flatten(content.config or {})),
        runs=content.history[: -MOST_RUNS - 1 : -1],
        verdicts=VERDICTS,
    )


def _label_view(label: str, content: Content) -> dict[str, Any]:
    """Returns what the section of metrics shows of a label."""
    summary = content.summary
    return {
        "name": label,
        "rows": metric_rows(content),
        "baseline": summary["baseline"],
        "oracle": summary["oracle"],
        "oracle_share": share_of_oracle((summary["metrics"] or {}).get("auc"), (summary["oracle"] or {}).get("auc")),
    }


def _charts(content: Content, labels: dict[str, Content], baseline: str) -> dict[str, list[Chart]]:
    activity = [activity_chart((part.evaluation or {}).get("slices") or [], label) for label, part in labels.items()]
    training, importance, tuning = (content.details.get(part) for part in ("training", "importance", "tuning"))
    important = importance_chart(importance) if importance else None
    return {
        "curves": [chart for label, part in labels.items() for chart in _curves(part, baseline, label)],
        "activity": [chart for chart in activity if chart],
        "importance": [important] if important else [],
        "training": training_charts(training) if training else [],
        "tuning": [tuning_chart(tuning, (content.config or {}).get("tuner", {}).get("space", {}))] if tuning else [],
        "days": day_charts(content.history),
        "history": history_charts(content.history, content.summary["run_id"]),
    }


def _curves(content: Content, baseline: str, label: str) -> list[Chart]:
    """Returns the charts of the curves of a label."""
    curves = (content.evaluation or {}).get("curves") or {}
    if not curves.get("candidate"):
        return []
    known = {name: model for name, model in (("this model", curves["candidate"]), (baseline, curves.get("baseline"))) if model}
    return [*curve_charts(known, label), score_chart(curves["candidate"]["scores"], label)]
