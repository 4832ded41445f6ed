"""How figures are put into words."""

import pytest

from pipeline.report import text_format as words
from pipeline.report.sections.metric_rows import trend


@pytest.mark.parametrize(
    ("function", "values", "text"),
    [
        (words.number, (0.78456,), "0.7846"),
        (words.number, (None,), "–"),
        (words.signed, (-0.00412,), "−0.0041"),
        (words.compact, (1768000000.0,), "1.768e+09"),
        (words.compact, (-0.5,), "−0.5"),
        (words.count, (160000,), "160,000"),
        (words.share, (0.9971,), "99.7%"),
        (words.size, (1234567,), "1.23 MB"),
        (words.size, (999,), "999 B"),
        (words.size, (None,), "–"),
        (words.interval, (0.77, 0.79), "0.7700 to 0.7900"),
        (words.interval, (None, 0.79), ""),
        (words.signed_interval, (-0.01, 0.02), "−0.0100 to +0.0200"),
        (words.when, ("2026-11-24T11:50:37+00:00",), "2026-11-24 11:50"),
        (words.when, ("",), "–"),
        (words.short, (["a", None],), '["a", null]'),
        (words.metric_name, ("ndcg_10",), "NDCG@10"),
        (words.metric_name, ("some_other",), "Some other"),
    ],
)
def test_figures_as_text(function, values, text):
    assert function(*values) == text


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


def test_each_reason_of_a_refusal_stands_alone():
    refused = {"status": "refused", "refused_because": "one; another.", "pushed_version": None}
    assert words.verdict_reasons(refused) == ["one", "another."]
    assert words.verdict_reasons({**refused, "refused_because": None}) == ["No reason was recorded."]
