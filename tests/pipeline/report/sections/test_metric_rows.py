"""When a change of a metric counts as better or worse."""

import pytest

from pipeline.report.sections.metric_rows import trend


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("auc", 0.001, 0.002, "better"),
        ("auc", -0.002, -0.001, "worse"),
        ("log_loss", 0.001, 0.002, "worse"),
        ("log_loss", -0.002, -0.001, "better"),
        ("auc", -0.001, 0.001, ""),
        ("auc", None, None, ""),
        ("calibration", 0.001, 0.002, ""),  # best in between
    ],
)
def test_a_change_is_better_or_worse_only_with_its_whole_interval(metric, low, high, expected):
    assert trend(metric, {"value": 0.0015, "low": low, "high": high}) == expected
