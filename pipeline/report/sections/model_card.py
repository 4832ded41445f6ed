"""Writes the model card: what a model is, what it was trained and judged on, and what it must not be trusted with."""

from collections.abc import Iterator
from typing import Any

from components.evaluation.metrics.catalogue import OVERALL
from pipeline.report.content import Content
from pipeline.report.content_by_label import content_by_label
from pipeline.report.text_format import count, interval, metric_name, number, share

_METRICS = ("auc", "gauc", "log_loss", "calibration")


def card_rows(content: Content) -> list[tuple[str, list[str]]]:
    """Returns the rows of the card: a name and its sentences each. What the run did not record is left out."""
    config = content.config or {}
    labels = content_by_label(content)
    rows = {
        "Name": [f"{content.summary['name']}, run {content.summary['run_id']}, {_version(content.summary)}"],
        "Model": _model(config.get("model") or {}, [label for label in labels if label]),
        "Inputs": _inputs(config.get("features") or {}),
        "Trained on": _training(content, config.get("training") or {}),
        "Parameters": [count(content.details["card"]["parameters"])] if content.details.get("card") else [],
        "Metrics": [sentence for label, part in labels.items() for sentence in _metrics(part.summary, label)],
        "Thresholds": _thresholds(content.summary["thresholds"] or []),
        "Limits": list(_limits(content, config)),
    }
    return [(name, sentences) for name, sentences in rows.items() if sentences]


def _version(summary: dict[str, Any]) -> str:
    return f"version {summary['pushed_version']}" if summary["pushed_version"] else "not pushed"


def _model(model: dict[str, Any], labels: list[str]) -> list[str]:
    if not model:
        return []
    layers = " · ".join(map(str, model["hidden"]))
    predicted = f"the probabilities of {', '.join(labels)}" if labels else "the probability that a user clicks a candidate"
    return [f"{model['kind']}, layers {layers}, {model['activation']}: {predicted}"]


def _inputs(features: dict[str, Any]) -> list[str]:
    behaviours = features.get("behaviours", {}).values()
    roles = {
        "candidate": [behaviour["candidate"] for behaviour in behaviours],
        "history": [behaviour["history"] for behaviour in behaviours],
        "user": list(features.get("user", {})),
        "context": list(features.get("context", {})),
    }
    return [f"{role}: {', '.join(names)}" for role, names in roles.items() if names]


def _training(content: Content, training: dict[str, Any]) -> list[str]:
    examples, epochs = content.summary["examples"], (content.details.get("training") or {}).get("epochs")
    sentences = []
    if examples:
        sentences.append(f"{count(examples['train'])} impressions of {content.summary['data']}, train/")
        sentences.append(f"{count(examples['validation'])} of validation/ chose the epoch; {count(examples['eval'])} of eval/ judged it")
    if epochs:
        sentences.append(f"{len(epochs)} epochs of at most {training['epochs']}" if training else f"{len(epochs)} epochs")
    return sentences


def _metrics(summary: dict[str, Any], label: str) -> list[str]:
    metrics, intervals = summary["metrics"] or {}, summary["intervals"] or {}
    sentences = []
    for name in (name for name in _METRICS if metrics.get(name) is not None):
        low, high = intervals.get(name) or (None, None)
        sentences.append(f"{metric_name(name, label)} {number(metrics[name])}" + (f" ({interval(low, high)})" if low is not None else ""))
    return sentences


def _thresholds(thresholds: list[dict[str, Any]]) -> list[str]:
    judged = [row for row in thresholds if row.get("judged", True)]
    overall = [
        f"{metric_name(row['metric'], row.get('label', ''))} {row['rule']}: {'holds' if row['passed'] else 'fails'}"
        for row in judged
        if row["slice"] == OVERALL
    ]
    sliced = [row["passed"] for row in judged if row["slice"] != OVERALL]
    return [*overall, *([f"{sum(sliced)} of {len(sliced)} thresholds on slices hold"] if sliced else [])]


def _limits(content: Content, config: dict[str, Any]) -> Iterator[str]:
    summary = content.summary
    yield "Ids that train/ does not have share the embeddings of unknown ids."
    features = config.get("features", {})
    if length := features.get("history_length"):
        yield f"Of each history the last {length} events are read."
    if length := features.get("long_history_length"):
        yield f"Of the last {length} events of the first sequence, a search chooses some for each candidate."
    if skipped := (summary["metrics"] or {}).get("one_class_users"):
        yield f"GAUC says nothing about {share(skipped)} of the users: all their impressions are clicked, or none."
    if unjudged := sum(not row.get("judged", True) for row in summary["thresholds"] or []):
        yield f"Thresholds on slices that were not judged, because of too few impressions: {unjudged}."
    if not summary["thresholds"]:
        yield "No threshold was judged."
    if not summary["baseline"]:
        yield "It was compared with no other model."
    if summary["oracle"]:
        yield "The clicks are simulated: no figure holds for real users."
