"""Splits the content of a report by label, so that each label is shown as a run with one label is."""

from dataclasses import replace
from typing import Any

from pipeline.records.summaries_by_label import by_label
from pipeline.records.summary import Summary
from pipeline.report.content import Content


def content_by_label(content: Content) -> dict[str, Content]:
    """Returns the content of each label by its name, the first label first. With one label its name here is empty: it needs none."""
    summaries = by_label(Summary.model_validate(content.summary))
    first = next(iter(summaries))
    return {
        label: replace(content, summary=summary.as_json(), evaluation=content.evaluation if label == first else _evaluation(content, label))
        for label, summary in summaries.items()
    }


def _evaluation(content: Content, label: str) -> dict[str, Any] | None:
    """The evaluation with the slices and curves of a further label."""
    return content.evaluation and {**content.evaluation, **content.evaluation["further_labels"][label]}
