"""The one place that owns the verdict on a model: every gate reports here, and only its yes pushes."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifact_types import INTERVALS_FILE, LOADING_FILE, SAMENESS_FILE, ConfidenceIntervals, ScoredSample
from components.base.pins import is_infra_blessed, write_model_blessing
from components.evaluation.metrics.catalogue import OVERALL
from components.evaluation.slices import slice_text

VERDICT_FILE = "verdict.json"
_TOLD = 20  # reasons in a sentence

Metrics = dict[str, float | None]  # None where it is not defined


def metrics_by_slice(result: Any) -> dict[str, Metrics]:
    """Scalar metrics of a TFMA EvalResult, by the text of the slice."""
    return {
        slice_text(key): {name: _finite(value["doubleValue"]) for name, value in metrics[""][""].items() if "doubleValue" in value}
        for key, metrics in result.slicing_metrics
    }


def _finite(value: Any) -> float | None:
    number = float(value)  # TFMA has NaN as text
    return number if math.isfinite(number) else None


def join(intervals: list[dict[str, Any]], candidate: dict[str, Metrics], baseline: dict[str, Metrics] | None) -> list[dict[str, Any]]:
    """The slices of `intervals.json` with TFMA's values in them.

    Returns:
        As there, but each metric a dict of value, low, high, baseline, and change: value, low and high, or None without a baseline.
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


def _matches(row: dict[str, Any], wanted: dict[str, str]) -> bool:
    key = {feature: str(value) for feature, value in row["key"]}
    return key.keys() == wanted.keys() and all(value in ("*", key[feature]) for feature, value in wanted.items())


def _judge_end(rule: dict[str, Any], found: dict[str, Any], bound: float, at_least: bool) -> bool:
    """Whether the value, and where it is asked for the worse end of its interval, reaches the bound. What is not defined does not."""
    asked = [found["value"], *([found["low" if at_least else "high"]] if rule["confident"] else [])]
    return all(value is not None and (value >= bound if at_least else value <= bound) for value in asked)


def _judge_metric(rule: dict[str, Any], metric: dict[str, Any], compared: bool) -> Iterator[dict[str, Any]]:
    """The bounds of a rule with what they were held against."""
    for name, at_least in (("at_least", True), ("at_most", False)):
        if rule[name] is not None:
            text = f"{name.replace('_', ' ')} {rule[name]:g}"
            yield {
                "kind": "value",
                "rule": text,
                "bound": rule[name],
                "found": metric,
                "passed": _judge_end(rule, metric, rule[name], at_least),
            }
    if rule["worse_by_at_most"] is not None and compared:
        higher = rule["better"] == "higher"
        bound = -rule["worse_by_at_most"] if higher else rule["worse_by_at_most"]
        text = f"at most {rule['worse_by_at_most']:g} {'below' if higher else 'above'} the baseline"
        passed = _judge_end(rule, metric["change"], bound, higher)
        yield {"kind": "change", "rule": text, "bound": bound, "found": metric["change"], "passed": passed}


_NOTHING = {"value": None, "low": None, "high": None}
_UNKNOWN = {**_NOTHING, "baseline": None, "change": _NOTHING}


def judge(rules: list[dict[str, Any]], slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rule, on every slice that it is for, with what it was held against.

    Args:
        rules: Dicts of metric, better, slice (value, or `*` for each, by feature; empty for the overall slice), at_least, at_most,
            worse_by_at_most (None where not asked), confident and min_examples.
        slices: From `join`.

    Returns:
        Dicts of metric, slice, kind (`value` or `change`), rule (in words), bound, value, low, high, confident, examples, judged and
        passed. The value of a change is the difference to the baseline; without a baseline there is none to judge. What is not defined
        does not pass on the whole split; a slice where it is not defined, as the AUC of one class, is not judged, and passes, and so is
        one with too few examples.
    """
    compared = any(metric["change"] is not None for row in slices for metric in row["metrics"].values())
    rows = []
    for rule in rules:
        matching = [row for row in slices if _matches(row, rule["slice"])]
        if not matching and "*" not in rule["slice"].values():
            matching = [{"slice": slice_text(tuple(rule["slice"].items())), "examples": 0, "metrics": {}}]
        for row in matching:
            for result in _judge_metric(rule, row["metrics"].get(rule["metric"], _UNKNOWN), compared):
                found = result.pop("found")
                known = found["value"] is not None and not (rule["confident"] and found["low"] is None)
                judged = row["slice"] == OVERALL or (row["examples"] >= rule["min_examples"] and known)
                rows.append({
                    "metric": rule["metric"], "slice": row["slice"], **result, "value": found["value"], "low": found["low"],
                    "high": found["high"], "confident": rule["confident"], "examples": row["examples"], "judged": judged,
                    "passed": result["passed"] or not judged,
                })  # fmt: skip
    return rows


def explain_refusal(rows: list[dict[str, Any]], confidence: float) -> str | None:
    """Why the metrics refuse the model, in one sentence with the numbers; None if they do not."""
    failed = [_reason(row, confidence) for row in rows if not row["passed"]]
    if not failed:
        return None
    more = [f"and {len(failed) - _TOLD} more"] if len(failed) > _TOLD else []
    return "; ".join([*failed[:_TOLD], *more]) + "."


def join_reasons(reasons: list[str | None]) -> str | None:
    """What each gate says, in one sentence; None if all agree. What two say with the same words is said once."""
    told = list(dict.fromkeys(reason.removesuffix(".") for reason in reasons if reason))
    return "; ".join(told) + "." if told else None


def _reason(row: dict[str, Any], confidence: float) -> str:
    where = "" if row["slice"] == OVERALL else f" of {row['slice']} ({row['examples']:,} impressions)"
    if row["value"] is None:
        return f"{row['metric']}{where} is not defined, but {row['rule']} is asked for"
    what = f"{row['metric']}{where} is {_number(row['value'], row['kind'])}"
    if row["confident"]:
        low, high = (_end(row[end], row["kind"]) for end in ("low", "high"))
        what += f" ({confidence:.0%} interval over users: {low} to {high})"
    return f"{what}, but {row['rule']} is asked for{' with confidence' if row['confident'] else ''}"


def _number(value: float, kind: str) -> str:
    return f"{value:.4f}" if kind == "value" else f"{abs(value):.4f} {'below' if value < 0 else 'above'} the baseline's"


def _end(value: float | None, kind: str) -> str:
    return "not defined" if value is None else f"{value:.4f}" if kind == "value" else f"{value:+.4f}"


def read_loading(folder: Path, blessed: bool) -> dict[str, Any]:
    """What InfraGate found; of TFX's InfraValidator, whether it blessed the model."""
    file = folder / LOADING_FILE
    if file.is_file():
        return json.loads(file.read_text())
    reason = None if blessed else "TFX's InfraValidator could not serve the model (the log says why)."
    return {"blessed": blessed, "refused_because": reason, "how": "TFX's InfraValidator"}


@component
def Verdict(
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    intervals: InputArtifact[ConfidenceIntervals],
    sample: InputArtifact[ScoredSample],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    model: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    rules: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Blesses the model if every gate agrees, and writes why or why not to `verdict.json`.

    Args:
        evaluation: TFMA's output.
        intervals: UserBootstrap's.
        sample: Sameness's.
        infra_blessing: InfraGate's, or that of TFX's InfraValidator.
        model: The model that is judged.
        blessing: What Pusher asks: TFX's blessing properties and files, and `verdict.json`.
        rules: JSON array, as `judge`.
        source_fingerprint: Changes with this code, so that no cached verdict outlives it.
    """
    del source_fingerprint
    found = json.loads((Path(intervals.uri) / INTERVALS_FILE).read_text())
    slices = join(found["slices"], *_load_metrics(evaluation.uri))
    rows = judge(json.loads(rules), slices)
    sameness = json.loads((Path(sample.uri) / SAMENESS_FILE).read_text())
    loading = read_loading(Path(infra_blessing.uri), is_infra_blessed(infra_blessing))
    refusal = explain_refusal(rows, found["confidence"])
    reason = join_reasons([refusal, sameness["refused_because"], loading["refused_because"]])
    judged = {"blessed": reason is None, "refused_because": reason, "thresholds": rows, "slices": slices}
    verdict = {**found, **judged, "sameness": sameness, "loading": loading}
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT_FILE).write_text(json.dumps(verdict) + "\n")
    write_model_blessing(blessing, model, reason is None)


def _load_metrics(uri: str) -> tuple[dict[str, Metrics], dict[str, Metrics] | None]:
    """Metrics by slice of the model and, where there is one, of the baseline."""
    alone = tfma.load_eval_result(uri)
    names = {spec.is_baseline: spec.name for spec in alone.config.model_specs}
    if len(names) == 1:
        return metrics_by_slice(alone), None
    candidate, baseline = (tfma.load_eval_result(uri, model_name=names[is_baseline]) for is_baseline in (False, True))
    return metrics_by_slice(candidate), metrics_by_slice(baseline)
