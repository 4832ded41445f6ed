"""`din bench evaluation --impressions N`: measures what judging a model takes at N impressions: CPU seconds, and memory by impression."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.speed.process_cost import Costs, measured, peak_mb, reset_peak
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.console import Console
from pipeline.datasets.layout import split_files
from pipeline.datasets.synthetic import generate
from pipeline.datasets.synthetic_rows import oracle_metrics
from pipeline.run.execution import Run
from pipeline.run.run_folder import run_folder
from pipeline.terminal import Progress, output_to, say

_TRAIN_SHARE, _IMPRESSIONS_OF_A_USER = 0.8, 20
_ANY_MODEL = ("synthetic.examples=20000", "training.epochs=1", "evaluation.thresholds.auc.at_least=0")


def _make_data(config: PipelineConfig, impressions: int, data: Path) -> list[str]:
    """Returns the files of that many impressions: the train split of a synthetic data set."""
    users = max(impressions // _IMPRESSIONS_OF_A_USER, 10)
    generate(config.synthetic.model_copy(update={"examples": round(impressions / _TRAIN_SHARE), "users": users}), data)
    return [str(file) for file in split_files(data, "train")]


@contextmanager
def _grown(costs: Costs, node: str) -> Iterator[None]:
    """As `measured`, with the memory that the process took before left out of the peak."""
    reset_peak()
    before = peak_mb()
    with measured(costs, node):
        yield
    costs[node]["peak_mb"] -= before


def _measure(config: PipelineConfig, files: list[str], model: str, out: Path) -> Costs:
    """The nodes that judge a model on the files, one after the other, and the metrics of the synthetic oracle."""
    import numpy as np

    from benchmarks.speed.evaluation_cost import evaluate_by_tfma
    from components.base.shard_tfxio import ShardTFXIO
    from components.base.tfx_pins import example_reader
    from components.evaluation.labels import Label
    from components.evaluation.scored_split import Scored
    from components.evaluation.slice_column import SliceColumn
    from components.slice_columns import extended_schema, write_columns
    from components.user_bootstrap import evaluate
    from din_trainer.transform.raw_schema import make_schema
    from pipeline.configuration.eval_config import make_eval_config
    from pipeline.configuration.node_settings import slice_columns_settings, user_bootstrap_settings

    costs: Costs = {}
    schema = make_schema(config.features, {"request_id": "int64", "timestamp": "int64", "historical_timestamps": "int64"})
    asked = slice_columns_settings(config)
    columns = {name: SliceColumn(**fields) for name, fields in json.loads(asked["columns"]).items()}
    with _grown(costs, "SliceColumns"):
        write_columns(files, files, schema, out / "eval", columns, json.loads(asked["optional"]))
    sliced = extended_schema(schema, columns)
    with _grown(costs, "Evaluator"), example_reader(ShardTFXIO):
        evaluate_by_tfma(make_eval_config(config, requests=True), f"{out}/eval/*", sliced, model, whole_users=True)
    settings = json.loads(user_bootstrap_settings(config, requests=True)["settings"])
    labels = [Label(*label) for label in settings["labels"]]
    kept = {settings["user"], settings["request"], *(name for cut in settings["slices"] for name in cut["features"])}
    names = sorted(kept | {label.column for label in labels})
    with _grown(costs, "UserBootstrap"):
        scored = Scored(sorted(str(file) for file in (out / "eval").iterdir()), sliced, names, {"candidate": model}, labels)
        evaluate(scored, settings)
    label, probability = scored.columns["label"], np.clip(scored.scores[labels[0].name]["candidate"], 1e-6, 1 - 1e-6)
    with _grown(costs, "oracle"):
        oracle_metrics(scored.columns["user_id"], probability, label)
    return costs


def measure(impressions: int) -> dict[str, Any]:
    """Measures a tenth of the impressions and all. Returns, by node, CPU seconds, peak, and what one more takes."""
    config = load_config("demo", _ANY_MODEL)
    sizes = (impressions // 10, impressions)
    with tempfile.TemporaryDirectory(prefix="din-bench-") as name, run_folder(Path(name), config.name) as place:
        folder = Path(name)
        summary = Run(config, None, place, Progress(Console(stderr=True))).execute()
        assert summary.pushed_path is not None, summary.refused_because
        found = []
        for size in sizes:
            files = _make_data(config, size, folder / f"data-{size}")
            found.append(_measure(config, files, str(summary.pushed_path), folder / f"out-{size}"))
    small, large = found
    more = sizes[1] - sizes[0]
    rows = [
        {
            "node": node,
            "cpu_seconds": cost["cpu"],
            "peak_mb": cost["peak_mb"],
            "bytes_an_impression": max(0.0, cost["peak_mb"] - small[node]["peak_mb"]) * 1e6 / more,
            "microseconds_an_impression": (cost["cpu"] - small[node]["cpu"]) * 1e6 / more,
        }
        for node, cost in large.items()
    ]
    return {"impressions": impressions, "nodes": rows}


def main(impressions: int, as_json: bool) -> int:
    """Measures, then prints a table or JSON. Returns the exit status."""
    with output_to(Path(os.devnull)) as terminal:
        measured_nodes = measure(impressions)
        if as_json:
            say(json.dumps(measured_nodes), terminal)
            return 0
        table = Table(f"{impressions:,} impressions", "CPU seconds", "memory", "one more: CPU time", "one more: memory")
        for row in measured_nodes["nodes"]:
            table.add_row(
                row["node"],
                f"{row['cpu_seconds']:.1f}",
                f"{row['peak_mb']:,.0f} MB",
                f"{row['microseconds_an_impression']:.1f} µs",
                f"{row['bytes_an_impression']:,.0f} bytes",
            )
        Console(file=terminal).print(table)
    return 0
