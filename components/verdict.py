"""The one place that owns the verdict on a model: every gate reports here, and only its yes pushes."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

VERDICT_FILE = "verdict.json"


def overall_metrics(result: Any) -> dict[str, float]:
    """Scalar metrics of the overall slice of a TFMA EvalResult, by name."""
    for key, metrics in result.slicing_metrics:
        if key == ():
            values = metrics[""][""]
            return {name: value["doubleValue"] for name, value in values.items() if "doubleValue" in value}
    return {}


def _judge_value(value: float, threshold: config_pb2.GenericValueThreshold) -> Iterator[tuple[str, float, bool]]:
    if threshold.HasField("lower_bound"):
        yield f"at least {threshold.lower_bound.value:g}", threshold.lower_bound.value, value >= threshold.lower_bound.value
    if threshold.HasField("upper_bound"):
        yield f"at most {threshold.upper_bound.value:g}", threshold.upper_bound.value, value <= threshold.upper_bound.value


def _judge_change(value: float, baseline: float, threshold: config_pb2.GenericChangeThreshold) -> tuple[str, float, bool]:
    """TFMA's rule: the change must not pass the absolute bound in the bad direction."""
    bound, change = threshold.absolute.value, value - baseline
    higher = threshold.direction == config_pb2.HIGHER_IS_BETTER
    bad_direction = (bound < 0) if higher else (bound > 0)
    rule = f"{'at most' if bad_direction else 'at least'} {abs(bound):g} {'below' if bound < 0 else 'above'} the baseline"
    return rule, bound, change >= bound if higher else change <= bound


def judge(eval_config: config_pb2.EvalConfig, metrics: dict[str, float], baseline: dict[str, float] | None) -> list[dict[str, Any]]:
    """Every threshold of the overall slice with the value it was held against.

    Returns:
        Dicts of metric, slice, kind (`value` or `change`), rule (in words), bound, value and passed. The value of a change is the
        difference to the baseline; without a baseline there is none to judge. NaN never passes.
    """
    rows = []
    for spec in eval_config.metrics_specs:
        for metric in spec.metrics:
            name = json.loads("{" + metric.config + "}")["name"] if metric.config else metric.class_name
            value = metrics.get(name, math.nan)
            for item in metric.per_slice_thresholds:
                row: dict[str, Any] = {"metric": name, "slice": "overall"}
                for rule, bound, passed in _judge_value(value, item.threshold.value_threshold):
                    rows.append({**row, "kind": "value", "rule": rule, "bound": bound, "value": value, "passed": passed})
                if item.threshold.HasField("change_threshold") and baseline is not None:
                    before = baseline.get(name, math.nan)
                    rule, bound, passed = _judge_change(value, before, item.threshold.change_threshold)
                    rows.append({**row, "kind": "change", "rule": rule, "bound": bound, "value": value - before, "passed": passed})
    return rows


def explain_refusal(rows: list[dict[str, Any]], blessed_by_evaluator: bool) -> str | None:
    """Why the model is refused, in one sentence with the numbers; None if it is not."""
    failed = [row for row in rows if not row["passed"]]
    if failed:
        reasons = [_reason(row) for row in failed]
        return "; ".join(reasons) + "."
    return None if blessed_by_evaluator else "the Evaluator did not bless the model (see its validation result under tfma_path)."


def _reason(row: dict[str, Any]) -> str:
    if row["kind"] == "value":
        return f"{row['metric']} is {row['value']:.4f}, but {row['rule']} is asked for"
    side = "below" if row["value"] < 0 else "above"
    return f"{row['metric']} is {abs(row['value']):.4f} {side} the baseline's, but {row['rule']} is asked for"


@component
def Verdict(
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    evaluator_blessing: InputArtifact[standard_artifacts.ModelBlessing],
    model: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    source_fingerprint: Parameter[str],
) -> None:
    """Blesses the model if every gate agrees, and writes why or why not to `verdict.json`.

    Args:
        evaluation: TFMA's output, thresholds included.
        evaluator_blessing: The Evaluator's own.
        model: The model that is judged.
        blessing: What Pusher asks: TFX's blessing properties and files, and `verdict.json`.
        source_fingerprint: Changes with this code, so that no cached verdict outlives it.
    """
    del source_fingerprint
    eval_config = tfma.load_eval_result(evaluation.uri).config
    candidate, baseline = _load_metrics(evaluation.uri, eval_config)
    rows = judge(eval_config, candidate, baseline)
    reason = explain_refusal(rows, bool(evaluator_blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)))
    verdict = {"blessed": reason is None, "refused_because": reason, "thresholds": rows, "metrics": candidate, "baseline": baseline}
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT_FILE).write_text(json.dumps(verdict, indent=2) + "\n")
    (folder / (constants.BLESSED_FILE_NAME if reason is None else constants.NOT_BLESSED_FILE_NAME)).touch()
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(reason is None))
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)


def _load_metrics(uri: str, eval_config: config_pb2.EvalConfig) -> tuple[dict[str, float], dict[str, float] | None]:
    """Overall metrics of the model and, where there is one, of the baseline."""
    names = {spec.is_baseline: spec.name for spec in eval_config.model_specs}
    if len(names) == 1:
        return overall_metrics(tfma.load_eval_result(uri)), None
    candidate, baseline = (tfma.load_eval_result(uri, model_name=names[is_baseline]) for is_baseline in (False, True))
    return overall_metrics(candidate), overall_metrics(baseline)
