"""`din bench evaluation`: measures the time of the evaluation, in a run of the demo and compared with the methods that it replaces."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from components.evaluation.metrics.gauc import gauc
from components.evaluation.poisson_bootstrap import Slice, intervals
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.console import Console
from pipeline.records.summary import Summary
from pipeline.run.execution import Run
from pipeline.run.run_folder import run_folder
from pipeline.terminal import Progress, output_to, say

NODES = ("SliceColumns", "Evaluator", "UserBootstrap", "report")
_IMPRESSIONS, _USERS, _REPLICATES = 1_000_000, 50_000, 100
_LOOP_REPLICATES = 3  # of the loop, where each takes a second


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def _impressions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns users, scores and labels. Users have very different numbers of impressions, in random order."""
    rng = np.random.default_rng(0)
    user = rng.zipf(1.3, _IMPRESSIONS) % _USERS
    score = rng.random(_IMPRESSIONS)
    return user, score, (rng.random(_IMPRESSIONS) < score).astype(np.float64)


def _gauc_by_loop(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    order = np.argsort(user, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(user[order])) + 1)
    both = [rows for rows in groups if 0 < label[rows].sum() < len(rows)]
    return float(np.average([roc_auc_score(label[rows], score[rows]) for rows in both], weights=[len(rows) for rows in both]))


def _auc_interval_by_loop(user: np.ndarray, score: np.ndarray, label: np.ndarray) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    for _ in range(_LOOP_REPLICATES):
        roc_auc_score(label, score, sample_weight=rng.poisson(1.0, _USERS)[user])


def measure_metrics() -> dict[str, float]:
    """Returns the seconds for a million impressions: of GAUC and of an interval of AUC, with our code and with loops over scikit-learn."""
    user, score, label = _impressions()
    ours, value = _seconds(lambda: gauc(user, score, label))
    loop, expected = _seconds(lambda: _gauc_by_loop(user, score, label))
    assert value is not None and abs(value - expected) < 1e-9
    cut = Slice(label, {"candidate": score}, user, None, ["auc", "pr_auc"])
    interval, _ = _seconds(lambda: intervals([cut], _USERS, _REPLICATES, 0.95, 0))
    by_loop, _ = _seconds(lambda: _auc_interval_by_loop(user, score, label))
    return {"gauc": ours, "gauc_loop": loop, "interval": interval, "interval_loop": by_loop * _REPLICATES / _LOOP_REPLICATES}


_TFMA_METRICS = {
    "AUC": "AUC",
    "AveragePrecision": "AUCPrecisionRecall",
    "LogLoss": "BinaryCrossEntropy",
    "Calibration": "Calibration",
    "Accuracy": "BinaryAccuracy",
    "ImpressionCount": "ExampleCount",
}  # by the name of our class


def _plain_eval_config(config: PipelineConfig) -> Any:
    """Returns the EvalConfig without our extractors: TFMA's own metrics where it has them, else ours with the query key that they need."""
    from pipeline.configuration.eval_config import make_eval_config

    result = make_eval_config(config, requests=True)
    (whole,) = result.metrics_specs
    by_key: dict[str, list[Any]] = {}
    for metric in whole.metrics:
        settings = json.loads(f"{{{metric.config}}}")
        if metric.class_name in _TFMA_METRICS:
            metric.class_name, metric.module = _TFMA_METRICS[metric.class_name], ""
        metric.config = json.dumps({name: value for name, value in settings.items() if name != "key"})[1:-1]
        by_key.setdefault(settings.get("key", ""), []).append(metric)
    del result.metrics_specs[:]
    for key, metrics in by_key.items():
        result.metrics_specs.add(metrics=metrics, query_key=key)
    return result


def evaluate_by_tfma(eval_config: Any, files: str, schema: Any, model: str, whole_users: bool) -> None:
    """Computes all metrics on all slices, with our extractors (`whole_users`) or with TFMA's default ones."""
    import apache_beam as beam
    import tensorflow_model_analysis as tfma
    from apache_beam.options.pipeline_options import PipelineOptions
    from tensorflow_model_analysis.utils import config_util
    from tfx_bsl.tfxio import tf_example_record

    from components.evaluation.tfma.extractors import custom_extractors
    from pipeline.runners.beam_options import local_options

    tfxio = tf_example_record.TFExampleRecord(files, schema=schema, raw_record_column_name=tfma.constants.ARROW_INPUT_COLUMN)
    eval_config = config_util.update_eval_config_with_defaults(eval_config, has_baseline=False, rubber_stamp=True)
    shared = tfma.default_eval_shared_model(model, eval_config=eval_config)
    make = custom_extractors if whole_users else tfma.default_extractors
    extractors = make(eval_shared_model=shared, eval_config=eval_config, tensor_adapter_config=tfxio.TensorAdapterConfig())
    with tempfile.TemporaryDirectory() as out, beam.Pipeline(options=PipelineOptions(local_options())) as p:
        _ = (
            p
            | tfxio.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=shared, eval_config=eval_config, output_path=out, schema=schema, extractors=extractors
            )
        )


def measure_tfma(config: PipelineConfig, summary: Summary, workspace: Path) -> dict[str, float]:
    """Returns the seconds for all metrics on all slices of a run's eval split: with our extractors, and with TFMA's default ones."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from pipeline.configuration.eval_config import make_eval_config
    from pipeline.records.metadata_store import RunOutputs

    outputs = RunOutputs(workspace / "metadata.sqlite", summary.run_id)
    schema_file = next(Path(str(outputs.uri("SliceColumns", "sliced_schema"))).iterdir())
    schema = text_format.Parse(schema_file.read_text(), schema_pb2.Schema())
    files = f"{outputs.uri('SliceColumns', 'sliced_examples')}/Split-eval/*"
    ours = make_eval_config(config, requests=True)
    ours_took, _ = _seconds(lambda: evaluate_by_tfma(ours, files, schema, str(summary.pushed_path), whole_users=True))
    plain_took, _ = _seconds(
        lambda: evaluate_by_tfma(_plain_eval_config(config), files, schema, str(summary.pushed_path), whole_users=False)
    )
    return {"whole_users": ours_took, "tfma_by_itself": plain_took}


def measure() -> dict[str, Any]:
    """Makes all measurements. Returns them and the ratios."""
    metrics = measure_metrics()
    config = load_config("demo")
    with tempfile.TemporaryDirectory() as folder, run_folder(Path(folder), config.name) as place:
        summary = Run(config, None, place, Progress(Console(stderr=True))).execute()
        assert summary.seconds is not None and summary.pushed_path is not None, summary.refused_because
        seconds = {name: summary.seconds["components"][name] for name in NODES} | {"run": summary.seconds["total"]}
        tfma = measure_tfma(config, summary, Path(folder))
    ratios = {
        "share_of_run": sum(seconds[name] for name in NODES) / seconds["run"],
        "tfma_by_itself": tfma["tfma_by_itself"] / tfma["whole_users"],
        "gauc_loop": metrics["gauc_loop"] / metrics["gauc"],
        "interval_loop": metrics["interval_loop"] / metrics["interval"],
    }
    return {"million_impressions": metrics, "demo": seconds, "tfma": tfma, "ratios": ratios}


def _table(measured: dict[str, Any]) -> Table:
    million, tfma, demo, ratios = (measured[name] for name in ("million_impressions", "tfma", "demo", "ratios"))
    evaluation = sum(demo[name] for name in NODES)
    table = Table("work: compared with", "here", "other", "ratio")
    for work, here, other, ratio in (
        (
            "GAUC of 10⁶ impressions: a loop over users",
            f"{million['gauc']:.2f}",
            f"{million['gauc_loop']:.1f}",
            f"{ratios['gauc_loop']:.0f}",
        ),
        (
            f"AUC's interval, 10⁶ impressions, {_REPLICATES} replicates: a loop",
            f"{million['interval']:.1f}",
            f"{million['interval_loop']:.0f}",
            f"{ratios['interval_loop']:.1f}",
        ),
        (
            "metrics and slices of the demo: TFMA alone",
            f"{tfma['whole_users']:.1f}",
            f"{tfma['tfma_by_itself']:.1f}",
            f"{ratios['tfma_by_itself']:.1f}",
        ),
        (
            "evaluation of the demo with intervals and report: the whole run",
            f"{evaluation:.1f}",
            f"{demo['run']:.1f}",
            f"{ratios['share_of_run']:.0%}",
        ),
    ):
        table.add_row(work, f"{here} s", f"{other} s", ratio)
    return table


def main(as_json: bool) -> int:
    """Measures, then prints a table or JSON. Returns the exit status."""
    with output_to(Path(os.devnull)) as terminal:
        measured = measure()
        if as_json:
            say(json.dumps(measured), terminal)
        else:
            Console(file=terminal).print(_table(measured))
    return 0
