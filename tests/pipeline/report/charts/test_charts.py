"""The charts are valid Plotly figures, and text from the data is shown as text."""

import pytest
from plotly.graph_objects import Figure

from pipeline.report.charts.activity_chart import activity_chart
from pipeline.report.charts.chart_style import plain
from pipeline.report.charts.curve_charts import curve_charts, score_chart
from pipeline.report.charts.day_charts import day_charts
from pipeline.report.charts.history_charts import history_charts
from pipeline.report.charts.training_charts import training_charts, validation_charts
from pipeline.report.content import read_content
from tests.pipeline.report.workspaces import ACTIVITIES, SCRIPT, curves, details, evaluation, full_workspace, slice_of, summary


def _history(workspace):
    folder = full_workspace(workspace)
    return history_charts(read_content(folder, workspace).history, folder.name)


def test_plotly_knows_every_property(tmp_path):
    charts = [
        *curve_charts({"this model": curves(4), SCRIPT: curves(3)}),
        score_chart(curves(4)["scores"]),
        activity_chart(evaluation()["slices"]),
        *training_charts(details()["training"]),
        *validation_charts(("one", details()["training"]), ("other", details()["training"])),
        *_history(tmp_path),
    ]
    for chart in charts:
        Figure(chart.figure)  # raises for unknown properties


@pytest.mark.parametrize(("text", "shown"), [("<b>&amp;", "&lt;b&gt;&amp;amp;"), (3, "3"), ("x" * 200, "x" * 79 + "…")])
def test_text_of_the_data_is_no_markup_to_plotly(text, shown):
    assert plain(text) == shown


def test_the_diagonal_of_calibration_ends_with_the_rates():
    diagonal, *models = curve_charts({"this model": curves(4)})[0].figure["data"]
    assert diagonal["x"] == diagonal["y"] == [0, 0.79] and models[0]["text"][0] == "2,500 impressions"


def test_scores_are_shares_of_their_class():
    for trace in score_chart(curves(4)["scores"]).figure["data"]:
        assert sum(trace["y"]) == pytest.approx(1)
    empty = {"edges": [0, 0.5, 1], "clicked": [0, 0], "not_clicked": [3, 1]}
    assert score_chart(empty).figure["data"][1]["y"] == [0, 0]


def test_activity_is_in_the_order_of_its_numbers_with_intervals():
    slices = evaluation()["slices"][::-1]
    bars, baseline = activity_chart(slices).figure["data"]
    assert bars["x"] == list(ACTIVITIES) == baseline["x"]
    assert [base + bars["base"] for base in bars["y"]] == pytest.approx([0.72, 0.73, 0.74, 0.75, 0.76, 0.77])
    assert all(up == pytest.approx(down) for up, down in zip(bars["error_y"]["array"], bars["error_y"]["arrayminus"], strict=True))


def test_activity_needs_slices_by_it_alone():
    assert activity_chart([slice_of([], 0.7, 100, 10), slice_of([["user_activity", "0"], ["city", "x"]], 0.7, 100, 10)]) is None
    assert len(activity_chart([slice_of([["user_activity", "0"]], 0.7, 100, 10, baseline=False)]).figure["data"]) == 1


def test_history_marks_pushed_runs_and_this_one(tmp_path):
    auc = next(chart for chart in _history(tmp_path) if chart.name == "history-auc")
    _, others, pushed, here = auc.figure["data"]
    assert pushed["y"] == [0.762, 0.775, 0.784] and others["y"] == [0.7, 0.79] and here["y"] == [0.79]
    assert "over 5 runs" in auc.description


def test_history_needs_two_runs_and_room_for_equal_ones():
    run = summary(1, "pushed", 0.7).model_dump()
    assert history_charts([run], "x") == []
    low, high = next(chart.figure["layout"]["yaxis"]["range"] for chart in history_charts([run, run], "x"))
    assert low < 0.7 < high


def day(at, auc, span, served=None, oracle=None, **changes):
    return summary(at, "pushed", auc, span=span, served_on_new_data=served, oracle=oracle, **changes).model_dump()


def test_days_show_the_served_model_before_the_training_and_the_new_one_after_it():
    """The first day has no served model; the second was run twice, and its last run counts; a run without spans is left out."""
    runs = [
        day(1, 0.70, "2026-11-20"),
        day(2, 0.60, "2026-11-21", {"version": 1, "auc": 0.5}),
        day(3, 0.72, "2026-11-21", {"version": 1, "auc": 0.71, "gauc": None, "calibration": 1.2}, {"auc": 0.8}),
        summary(4, "pushed", 0.9).model_dump(),
        summary(5, "failed", None, span="2026-11-22").model_dump(),
    ]
    charts = {chart.name: chart for chart in day_charts(runs)}
    assert list(charts) == ["days-auc", "days-gauc", "days-calibration"]
    traces = {trace["name"]: (trace["x"], trace["y"]) for trace in charts["days-auc"].figure["data"]}
    days = ["2026-11-20", "2026-11-21"]
    assert traces == {
        "served, before the training": (days, [None, 0.71]),
        "newly trained": (days, [0.70, 0.72]),
        "oracle": (days, [None, 0.8]),
    }
    assert "on the last one: served, before the training 0.7100, newly trained 0.7200, oracle 0.8000" in charts["days-auc"].description
    assert [trace["name"] for trace in charts["days-gauc"].figure["data"]] == ["newly trained"]


def test_numbered_spans_are_in_the_order_of_their_numbers():
    runs = [day(1, 0.7, "span-10"), day(2, 0.8, "span-9")]
    assert day_charts(runs)[0].figure["data"][0]["x"] == ["span-9", "span-10"]
    assert day_charts(runs[:1]) == []
