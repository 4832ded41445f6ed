"""Decides whether a model may be pushed: it reads what every gate found, and only its blessing counts.

The thresholds on metrics are judged in `components.evaluation.judge_thresholds`.
"""

import json
import math
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifact_types import INTERVALS_FILE, LOADING_FILE, SAMENESS_FILE, ConfidenceIntervals, ScoredSample
from components.base.tfx_pins import is_infra_blessed, write_model_blessing
from components.evaluation.judge_thresholds import Metrics, Rule, explain_refusal, join, judge
from components.evaluation.labels import output_name
from components.evaluation.metrics.catalogue import PROBABILITY
from components.evaluation.slices import slice_text

VERDICT_FILE = "verdict.json"

MetricsByOutput = dict[str, dict[str, Metrics]]  # by the model's output and the text of the slice


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
        intervals: UserBootstrap's output.
        sample: Sameness's output.
        infra_blessing: The output of InfraGate or of TFX's InfraValidator.
        model: The model that is judged.
        blessing: What Pusher reads: TFX's blessing properties and files, and `verdict.json`.
        rules: JSON array of objects with the attributes of `Rule`.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old verdict.
    """
    del source_fingerprint
    found = json.loads((Path(intervals.uri) / INTERVALS_FILE).read_text())
    asked, (candidate, baseline) = [Rule(**rule) for rule in json.loads(rules)], _load_metrics(evaluation.uri)
    slices, rows = {}, []
    for label, measured in {"": found, **found["further_labels"]}.items():
        output, compared = output_name(label), "baseline" in measured["curves"]
        slices[label] = join(measured["slices"], candidate[output], baseline[output] if compared else None)
        rows += judge([rule for rule in asked if rule.label == label], slices[label])
    further_labels = {label: {**measured, "slices": slices[label]} for label, measured in found["further_labels"].items()}
    sameness = json.loads((Path(sample.uri) / SAMENESS_FILE).read_text())
    loading = read_loading(Path(infra_blessing.uri), is_infra_blessed(infra_blessing))
    refusal = explain_refusal(rows, found["confidence"])
    reason = join_reasons([refusal, sameness["refused_because"], loading["refused_because"]])
    judged = {"blessed": reason is None, "refused_because": reason, "thresholds": rows}
    parts = {"slices": slices[""], "further_labels": further_labels, "sameness": sameness, "loading": loading}
    verdict = {**found, **judged, **parts}
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT_FILE).write_text(json.dumps(verdict) + "\n")
    write_model_blessing(blessing, model, reason is None)


def _load_metrics(uri: str) -> tuple[MetricsByOutput, MetricsByOutput]:
    """The metrics of the model, and those of the baseline, if there is one."""
    alone = tfma.load_eval_result(uri)
    names = {spec.is_baseline: spec.name for spec in alone.config.model_specs}
    if len(names) == 1:
        return _metrics_by_output(alone), {}
    candidate, baseline = (tfma.load_eval_result(uri, model_name=names[is_baseline]) for is_baseline in (False, True))
    return _metrics_by_output(candidate), _metrics_by_output(baseline)


def _metrics_by_output(result: Any) -> MetricsByOutput:
    """The scalar metrics of a TFMA EvalResult. TFMA has no name for the output of a model with one label."""
    found: MetricsByOutput = {}
    for key, metrics_of in result.slicing_metrics:
        for output, metrics in metrics_of.items():
            values = {name: _finite(value["doubleValue"]) for name, value in metrics[""].items() if "doubleValue" in value}
            found.setdefault(output or PROBABILITY, {})[slice_text(key)] = values
    return found


def _finite(value: Any) -> float | None:
    number = float(value)  # TFMA writes NaN as text
    return number if math.isfinite(number) else None


def read_loading(folder: Path, blessed: bool) -> dict[str, Any]:
    """What InfraGate found. TFX's InfraValidator says only whether it blessed the model."""
    file = folder / LOADING_FILE
    if file.is_file():
        return json.loads(file.read_text())
    reason = None if blessed else "TFX's InfraValidator could not serve the model (the log says why)."
    return {"blessed": blessed, "refused_because": reason, "how": "TFX's InfraValidator"}


def join_reasons(reasons: list[str | None]) -> str | None:
    """Joins the reasons of the gates to one sentence, each reason once; None if no gate refuses."""
    different = list(dict.fromkeys(reason.removesuffix(".") for reason in reasons if reason))
    return "; ".join(different) + "." if different else None
