"""Numbers, names and verdicts as text."""

import pytest

from pipeline.report import text_format


@pytest.mark.parametrize(
    ("function", "values", "text"),
    [
        (text_format.number, (0.78456,), "0.7846"),
        (text_format.number, (None,), "–"),
        (text_format.signed, (-0.00412,), "−0.0041"),
        (text_format.compact, (1768000000.0,), "1.768e+09"),
        (text_format.compact, (-0.5,), "−0.5"),
        (text_format.count, (160000,), "160,000"),
        (text_format.share, (0.9971,), "99.7%"),
        (text_format.size, (1234567,), "1.23 MB"),
        (text_format.size, (999,), "999 B"),
        (text_format.size, (None,), "–"),
        (text_format.interval, (0.77, 0.79), "0.7700 to 0.7900"),
        (text_format.interval, (None, 0.79), ""),
        (text_format.signed_interval, (-0.01, 0.02), "−0.0100 to +0.0200"),
        (text_format.when, ("2026-11-24T11:50:37+00:00",), "2026-11-24 11:50"),
        (text_format.when, ("",), "–"),
        (text_format.short, (["a", None],), '["a", null]'),
        (text_format.metric_name, ("ndcg_10",), "NDCG@10"),
        (text_format.metric_name, ("some_other",), "Some other"),
    ],
)
def test_figures_as_text(function, values, text):
    assert function(*values) == text


def test_each_reason_of_a_refusal_stands_alone():
    refused = {"status": "refused", "refused_because": "one; another.", "pushed_version": None}
    assert text_format.verdict_reasons(refused) == ["one", "another."]
    assert text_format.verdict_reasons({**refused, "refused_because": None}) == ["No reason was recorded."]
