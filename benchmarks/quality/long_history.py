"""Shows what a long history gives and costs: `python -m benchmarks.quality.long_history`.

On synthetic users with a past, most of whose interests only old events reveal (`pipeline.datasets.synthetic_past`), it trains DIN on the
last 50 events, and DIN with hard and with hash search over all 2,000. It prints their AUC on eval/, the share of the oracle's lift
(AUC − 0.5) that each reaches, and the CPU time of a training step and of `rank` with 500 candidates. These are the medians of rounds in
which the models take turns, within this process.

    python -m benchmarks.quality.long_history --out workspace/quality/long_history
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from sklearn.metrics import roc_auc_score

from benchmarks.exports.transform_analysis import analyse
from benchmarks.speed.rounds import measure_in_rounds
from components.base.errors import InputError
from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel
from din_trainer.features import FeatureConfig
from din_trainer.models.ranking_model import RankingModel
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.fit import fit
from din_trainer.training.input_pipeline import Split
from din_trainer.training.threads import share_cores
from din_trainer.training.validation import logits_of
from pipeline.console import Console
from pipeline.datasets import synthetic
from pipeline.datasets.layout import split_files
from pipeline.datasets.manifest import read_oracle
from pipeline.datasets.synthetic_config import SyntheticConfig
from pipeline.terminal import complain, say

SHORT, LONG = 50, 2_000  # events
CANDIDATES = 500
STEPS = 16  # of a round
REQUESTS = 8
MODELS: dict[str, dict[str, Any]] = {
    f"DIN, the last {SHORT} events": {},
    "DIN, hard search": {"search": "hard"},
    "DIN, hash search": {"search": "hash"},
}


class Measured(NamedTuple):
    """A model on eval/: its AUC, its share of the oracle's lift, and CPU milliseconds of a step and of a request."""

    auc: float
    share_of_oracle: float
    step_ms: float
    rank_ms: float


def make_config(search: dict[str, Any], seed: int) -> DINConfig:
    """The configuration of a model."""
    features = {"history_length": SHORT, **({"long_history_length": LONG} if search else {})}
    training = {"epochs": 20, "patience": 3, "learning_rate": 0.003, "seed": seed}
    return DINConfig.model_validate({"features": features, "model": {"long_history": search}, "training": training})


def all_ids(sizes: SyntheticConfig) -> list[dict[str, Any]]:
    """Impressions in which each id occurs."""
    names = {"user_id": sizes.users, "candidate_item_id": sizes.items, "candidate_category_id": sizes.category_count}
    return [{**{name: i % size for name, size in names.items()}, "label": i % 2} for i in range(max(names.values()))]


class Trained(NamedTuple):
    """A trained model, ready to be measured."""

    model: RankingModel
    train: Split
    serving: Any
    auc: float


def train(config: DINConfig, transform_output: tft.TFTransformOutput, data: Path) -> Trained:
    """Trains a model as the pipeline does, and judges it on eval/."""
    files = {split: [str(file) for file in split_files(data, split)] for split in ("train", "validation", "eval")}
    model = fit(config, transform_output, files["train"], files["validation"]).model
    read = raw_example_reader(config.features, transform_output)
    batches = Split(files["eval"], read, 256).epoch()
    logits = logits_of(model, batches)
    labels = np.concatenate([label for _, label in batches.as_numpy_iterator()])
    split = Split(files["train"], read, config.training.batch_size, shuffle_seed=0)
    serving = tf.function(ServingModel(model, transform_output).rank, autograph=False)
    return Trained(model, split, serving, float(roc_auc_score(labels, logits)))


def step_ms(trained: Trained) -> float:
    """CPU milliseconds of a training step with its input."""
    batches = trained.train.epoch().take(STEPS)
    started = time.process_time()
    keras.Model.fit(trained.model, batches, verbose=0)
    return 1e3 * (time.process_time() - started) / STEPS


def rank_ms(trained: Trained, sizes: SyntheticConfig) -> float:
    """CPU milliseconds of `rank` with 500 candidates and as many events as the model reads."""
    rng = np.random.default_rng(0)
    events = trained.model.din_config.features.longest_history
    history = rng.integers(sizes.items, size=(1, events))
    candidates = rng.integers(sizes.items, size=(1, CANDIDATES))
    request = {
        "user_id": tf.constant([1], tf.int64),
        "candidate_item_id": tf.constant(candidates),
        "candidate_category_id": tf.constant(candidates % sizes.category_count),
        "historical_item_ids": tf.constant(history),
        "historical_category_ids": tf.constant(history % sizes.category_count),
    }
    started = time.process_time()
    for _ in range(REQUESTS):
        trained.serving(**request)
    return 1e3 * (time.process_time() - started) / REQUESTS


def measure(sizes: SyntheticConfig, data: Path, out: Path, seed: int, console: Console) -> dict[str, Measured]:
    """Trains and measures all models."""
    transform_output = analyse(all_ids(sizes), FeatureConfig(), out / "transform")
    trained = {}
    for name, search in MODELS.items():
        trained[name] = train(make_config(search, seed), transform_output, data)
        console.print(f"  {name}: AUC {trained[name].auc:.4f}", highlight=False)
    lift = (read_oracle(data) or {}).get("auc") or 0.5
    calls: dict[tuple[str, str], Callable[[], float]] = {}
    for name, each in trained.items():
        calls |= {(name, "step"): partial(step_ms, each), (name, "rank"): partial(rank_ms, each, sizes)}
    found = {key: statistics.median(values) for key, values in measure_in_rounds(calls, console).items()}
    return {
        name: Measured(each.auc, (each.auc - 0.5) / (lift - 0.5), found[name, "step"], found[name, "rank"])
        for name, each in trained.items()
    }


def table_lines(measured: dict[str, Measured]) -> list[str]:
    """The results as Markdown; costs beside their ratio to those of the first model."""
    first = next(iter(measured.values()))
    lines = [
        f"| model | AUC | share of the oracle's lift | training step | `rank`, {CANDIDATES} candidates |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, m in measured.items():
        step, rank = (f"{ms:.1f} ms ({ms / base:.2f}×)" for ms, base in ((m.step_ms, first.step_ms), (m.rank_ms, first.rank_ms)))
        lines.append(f"| {name} | {m.auc:.4f} | {m.share_of_oracle:.2f} | {step} | {rank} |")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Makes the data if it is not there, measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.long_history", description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=30_000, help="impressions (default: 30,000)")
    parser.add_argument("--users", type=int, default=3_000, help="users (default: 3,000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("workspace", "quality", "long_history"), help="folder of the data")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    share_cores()
    console = Console(stderr=True)
    sizes = SyntheticConfig(examples=options.examples, users=options.users, items=1_000, history=LONG)
    data = options.out / f"data-{sizes.examples}-{sizes.users}"
    if not data.exists():
        synthetic.generate(sizes, data)
    measured = measure(sizes, data, options.out, options.seed, console)
    if options.json:
        say(json.dumps({"oracle": read_oracle(data), "models": {name: m._asdict() for name, m in measured.items()}}))
    else:
        for line in table_lines(measured):
            say(line)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        complain(str(error))
        sys.exit(2)
