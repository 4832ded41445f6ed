"""Holds a model's metrics against the thresholds of the configuration, overall and on slices.

`Evaluator` and `UserBootstrap` measure, `judge` decides which bounds are reached, `explain_refusal` says why a model is refused.
"""

from typing import Any, Literal, NamedTuple

from components.evaluation.metrics.catalogue import OVERALL
from components.evaluation.slices import slice_text

Metrics = dict[str, float | None]  # by name; None where the metric is not defined
_MOST_REASONS = 20  # in one sentence


class Rule(NamedTuple):
    """What a metric must reach on one or more slices. A bound that is None is not asked for.

    Attributes:
        metric: Its name.
        better: `higher` or `lower`; None if neither is better (see `catalogue.Metric`).
        slice: A value by feature, `*` for each value; empty for the overall slice.
        min_examples: A slice with fewer impressions is not judged.
        at_least: Lower bound of the value.
        at_most: Upper bound of the value.
        worse_by_at_most: How much worse than the baseline's the value may be.
        confident: Whether the worse end of the confidence interval must reach the bounds as well.
        label: The label whose metric it is; empty for the first one.
    """

    metric: str
    better: str | None
    slice: dict[str, str]
    min_examples: int
    at_least: float | None
    at_most: float | None
    worse_by_at_most: float | None
    confident: bool
    label: str = ""


class Bound(NamedTuple):
    """One bound of a rule, for Verdict and for TFMA's own validation report.

    Attributes:
        kind: What it bounds: the metric's `value`, or its `change` from the baseline (the model's value less the baseline's).
        limit: The bound, which is itself allowed.
        is_lower: Whether it is a lower bound.
        text: The bound in words.
    """

    kind: Literal["value", "change"]
    limit: float
    is_lower: bool
    text: str


def bounds(rule: Rule) -> list[Bound]:
    """The bounds that a rule asks for."""
    result = []
    if rule.at_least is not None:
        result.append(Bound("value", rule.at_least, True, f"at least {rule.at_least:g}"))
    if rule.at_most is not None:
        result.append(Bound("value", rule.at_most, False, f"at most {rule.at_most:g}"))
    if (worse := rule.worse_by_at_most) is not None:
        if rule.better == "higher":
            result.append(Bound("change", -worse, True, f"at most {worse:g} below the baseline"))
        else:
            result.append(Bound("change", worse, False, f"at most {worse:g} above the baseline"))
    return result


def join(intervals: list[dict[str, Any]], candidate: dict[str, Metrics], baseline: dict[str, Metrics] | None) -> list[dict[str, Any]]:
    """Puts TFMA's values beside their confidence intervals.

    Args:
        intervals: The slices of `intervals.json`.
        candidate: The model's metrics, by the text of the slice.
        baseline: The baseline's, or None where there is no baseline.

    Returns:
        The slices, in which each metric is a dict of value, low, high, baseline, and change: value, low and high, or None without a
        baseline.
    """
    rows = []
    for row in intervals:
        before = baseline.get(row["slice"], {}) if baseline is not None else None
        metrics = {name: _measured(candidate.get(row["slice"], {}), before, name, ends) for name, ends in row["metrics"].items()}
        rows.append({**row, "metrics": metrics})
    return rows


def _measured(candidate: Metrics, baseline: Metrics | None, name: str, ends: dict[str, Any]) -> dict[str, Any]:
    value, before = candidate.get(name), (baseline or {}).get(name)
    (low, high), change = ends["candidate"], None
    if baseline is not None:
        difference = None if value is None or before is None else value - before
        change = {"value": difference, "low": ends["change"][0], "high": ends["change"][1]}
    return {"value": value, "low": low, "high": high, "baseline": before, "change": change}


_NOTHING = {"value": None, "low": None, "high": None}
_UNKNOWN = {**_NOTHING, "baseline": None, "change": _NOTHING}


def judge(rules: list[Rule], slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judges every bound of every rule on every slice that the rule is for. Changes are judged only where there is a baseline.

    All rules are for one label.

    On the overall slice a metric that is not defined does not pass. Any other slice is not judged, and passes, if a metric is not defined
    there (as the AUC of one class) or if it has too few examples.

    Args:
        rules: The thresholds.
        slices: From `join`.

    Returns:
        Dicts of metric, slice, kind (`value` or `change`), rule (in words), bound, value (of the metric or of the change), low, high,
        confident, examples, judged and passed. Those of a label that is not the first have `label` as well.
    """
    compared = any(metric["change"] is not None for row in slices for metric in row["metrics"].values())
    rows = []
    for rule in rules:
        asked = [bound for bound in bounds(rule) if compared or bound.kind == "value"]
        rows += [_judge_bound(rule, bound, row) for row in _slices_of(rule, slices) for bound in asked]
    return rows


def _slices_of(rule: Rule, slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The slices that a rule is for. A slice that the rule names but the data lacks has no examples."""
    matching = [row for row in slices if _matches(row, rule.slice)]
    if matching or "*" in rule.slice.values():
        return matching
    return [{"slice": slice_text(tuple(rule.slice.items())), "examples": 0, "metrics": {}}]


def _matches(row: dict[str, Any], wanted: dict[str, str]) -> bool:
    key = {feature: str(value) for feature, value in row["key"]}
    return key.keys() == wanted.keys() and all(value in ("*", key[feature]) for feature, value in wanted.items())


def _judge_bound(rule: Rule, bound: Bound, row: dict[str, Any]) -> dict[str, Any]:
    metric = row["metrics"].get(rule.metric, _UNKNOWN)
    found = metric if bound.kind == "value" else metric["change"]
    worse_end = "low" if bound.is_lower else "high"
    values = [found["value"], *([found[worse_end]] if rule.confident else [])]
    defined = None not in values
    reached = defined and all(value >= bound.limit if bound.is_lower else value <= bound.limit for value in values)
    judged = row["slice"] == OVERALL or (defined and row["examples"] >= rule.min_examples)
    return {
        "metric": rule.metric,
        "slice": row["slice"],
        "kind": bound.kind,
        "rule": bound.text,
        "bound": bound.limit,
        "value": found["value"],
        "low": found["low"],
        "high": found["high"],
        "confident": rule.confident,
        "examples": row["examples"],
        "judged": judged,
        "passed": reached or not judged,
        **({"label": rule.label} if rule.label else {}),
    }


def explain_refusal(rows: list[dict[str, Any]], confidence: float) -> str | None:
    """Says in one sentence, with the numbers, why the metrics refuse the model; None if they do not.

    Args:
        rows: From `judge`.
        confidence: Of the intervals, such as 0.95.
    """
    failed = [_reason(row, confidence) for row in rows if not row["passed"]]
    if not failed:
        return None
    more = [f"and {len(failed) - _MOST_REASONS} more"] if len(failed) > _MOST_REASONS else []
    return "; ".join([*failed[:_MOST_REASONS], *more]) + "."


def _reason(row: dict[str, Any], confidence: float) -> str:
    label = f" ({row['label']})" if "label" in row else ""
    where = label + ("" if row["slice"] == OVERALL else f" of {row['slice']} ({row['examples']:,} impressions)")
    if row["value"] is None:
        return f"{row['metric']}{where} is not defined, but {row['rule']} is asked for"
    what = f"{row['metric']}{where} is {_number(row['value'], row['kind'])}"
    if row["confident"]:
        low, high = (_end(row[end], row["kind"]) for end in ("low", "high"))
        return f"{what} ({confidence:.0%} interval over users: {low} to {high}), but {row['rule']} is asked for with confidence"
    return f"{what}, but {row['rule']} is asked for"


def _number(value: float, kind: str) -> str:
    return f"{value:.4f}" if kind == "value" else f"{abs(value):.4f} {'below' if value < 0 else 'above'} the baseline's"


def _end(value: float | None, kind: str) -> str:
    return "not defined" if value is None else f"{value:.4f}" if kind == "value" else f"{value:+.4f}"
