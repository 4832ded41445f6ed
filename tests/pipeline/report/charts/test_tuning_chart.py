"""The chart of a search: where the values of a trial are on their axes."""

import math

import pytest
from plotly.graph_objects import Figure

from pipeline.report.charts.tuning_chart import tuning_chart
from tests.pipeline.records.test_tuner_summary import TRIALS
from tests.pipeline.report.workspaces import SCRIPT

SPACE = {"training.learning_rate": {"min": 0.001, "max": 0.1, "scale": "log"}, "model.hidden": [[32], [64]]}


def places(chart):
    """The places of each trial on the axes, by the number in its hover text."""
    return {int(line["hovertemplate"].split("<br>")[0].removeprefix("trial ")): line["y"] for line in chart.figure["data"]}


def test_values_are_placed_by_hand():
    found = places(tuning_chart(TRIALS, SPACE))
    assert found[1] == pytest.approx([0, 0, 0])  # the lowest learning rate, the smaller layer, the lower AUC
    half = math.log(0.0031234 / 0.001) / math.log(0.5 / 0.001)  # trial 2 is outside the range, which the axis then holds
    assert found[3] == pytest.approx([half, 1, 1])
    assert found[2][:2] == pytest.approx([1, 0]) and found[2][2] is None  # it failed


def test_the_best_and_the_own_setting_are_in_front_and_named():
    chart = tuning_chart(TRIALS, SPACE)
    names = [(line["name"], line["showlegend"]) for line in chart.figure["data"]]
    assert names == [("other trials", True), ("the configuration's own setting", True), ("the best trial", True)]
    assert "The best one, trial 3, has the validation AUC 0.7225." in chart.description
    one = tuning_chart(TRIALS[:1], SPACE)
    assert [line["name"] for line in one.figure["data"]] == ["the best trial"]


def test_each_axis_is_labelled_with_its_values():
    labels = [(label["x"], label["y"], label["text"]) for label in tuning_chart(TRIALS, SPACE).figure["layout"]["annotations"]]
    rate, hidden, auc = [[label[1:] for label in labels if label[0] == axis] for axis in range(3)]
    assert rate == [(0.0, "0.001"), (1.0, "0.5")]
    assert hidden == [(0.0, "[32]"), (1.0, "[64]")]
    assert auc == [(0.0, "0.7100"), (1.0, "0.7225")]


def test_many_trials_show_the_best_and_the_own_setting():
    trials = [{**TRIALS[0], "auc": 0.5 + number / 1000} for number in range(300)]
    trials[0]["auc"] = 0.4
    found = places(tuning_chart(trials, SPACE))
    assert len(found) == 200 and 1 in found and 300 in found and 2 not in found


def test_plotly_knows_every_property_and_text_stays_text():
    trials = [{**TRIALS[0], "values": {"training.optimizer": SCRIPT}}]
    figure = tuning_chart(trials, {"training.optimizer": [SCRIPT]}).figure
    Figure(figure)
    assert "<script" not in str(figure)
