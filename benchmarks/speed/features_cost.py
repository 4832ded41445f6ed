"""`din bench features`: what ten further features cost: 4 categorical ones, 2 of 5 tags, 2 numbers, a vector of 64 floats and a cross.

The same model with them and without them works side by side, in alternating rounds, and each round gives a ratio of CPU seconds.

* Training from memory, in batches of 256 and of 1,024, as `din run` trains. Histories have 1 to 10 events.
* `rank` of one user with 500 candidates, in TensorFlow's C++ loader, on one thread. The history has 10 events. Of the ten
  features, 2 categorical ones, one of tags, a number and the cross differ between candidates.
* Reading raw tf.Examples for training.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.exports.ten_features import PLAIN, WITH_TEN, candidate_of, of_features, random_impressions, write
from benchmarks.speed.process_cost import cpu_seconds
from benchmarks.speed.rounds import measure_in_rounds
from components.serving.model.impression_tensors import rank_tensors
from components.serving.model.loaded_model import LoadedModel
from din_trainer.features import LABEL, FeatureConfig
from pipeline.console import Console
from pipeline.terminal import output_to, say

ROWS = 32_768  # so that a round of each batch size is whole calls of 32 steps
ANALYSED = 4_000  # impressions that vocabularies and statistics are made of
BATCHES, CANDIDATES = (256, 1_024), 500
FEATURES = {"plain": PLAIN, "with_ten": WITH_TEN}
AT_MOST = {"train_256": 1.6, "train_1024": 1.6, "rank_500": 1.8}  # ratios
WORK = {
    "train_256": "a training step of 256, ms",
    "train_1024": "a training step of 1,024, ms",
    "rank_500": "rank of 500 candidates, ms",
    "read": "reading an impression for training, µs",
}

Cost = Callable[[], float]  # does the work, and returns the CPU seconds of one step, request or impression


class Effort(NamedTuple):
    """How often a round does its work: epochs of training, and requests of `rank`."""

    epochs: int
    requests: int


FULL, QUICK = Effort(4, 200), Effort(1, 50)


def process_seconds(pid: int) -> float:
    """The CPU time of another process so far: Linux makes the number of its clock from the process id."""
    return time.clock_gettime((~pid << 3) | 2)


def costs_of(features: FeatureConfig, effort: Effort, folder: Path, open_models: ExitStack) -> dict[str, Cost]:
    """Prepares the data and the models of some features. Returns the measurements by name.

    Args:
        features: What the model reads.
        effort: How much a round does.
        folder: An empty folder for data and models.
        open_models: Ends the loaded model.
    """
    from benchmarks.exports.transform_analysis import analyse, randomise
    from din_trainer.config import DINConfig
    from din_trainer.export.signatures import export
    from din_trainer.models.make_model import make_model
    from din_trainer.training.initial_tables import vocabulary_sizes

    rows = [of_features(row, features) for row in random_impressions(ROWS)]
    transform_output = analyse(rows[:ANALYSED], features, folder / "transform")
    write(rows, features, folder / "train.gz")
    config, sizes = DINConfig(features=features), vocabulary_sizes(features.vocabularies, transform_output)
    served = make_model(config, sizes)
    randomise(served)
    export(served, transform_output, str(folder / "model"))
    loaded = open_models.enter_context(LoadedModel(folder / "model", threads=1))
    model = make_model(config, sizes)
    result = {f"train_{batch}": _training(model, transform_output, folder / "train.gz", batch, effort.epochs) for batch in BATCHES}
    return {
        **result,
        "rank_500": _ranking(loaded, features, effort.requests),
        "read": _reading(features, transform_output, folder / "train.gz"),
    }


def _training(model: Any, transform_output: Any, file: Path, batch: int, epochs: int) -> Cost:
    """Training from memory."""
    import keras
    import tensorflow as tf

    from din_trainer.reading.training_examples import raw_example_reader
    from din_trainer.training.compile_model import compile_model
    from din_trainer.training.input_pipeline import Split

    split = Split([str(file)], raw_example_reader(model.din_config.features, transform_output), batch, shuffle_seed=0)
    if not model.compiled:
        compile_model(model)

    def cost() -> float:
        batches = reduce(tf.data.Dataset.concatenate, map(split.epoch, range(epochs)))
        begin = cpu_seconds()
        keras.Model.fit(model, batches, verbose=0)  # as `train`, without the checks of a user's data
        return (cpu_seconds() - begin) / (epochs * ROWS / batch)

    return cost


def _ranking(loaded: LoadedModel, features: FeatureConfig, requests: int) -> Cost:
    """One user with `CANDIDATES` candidates."""
    rows = random_impressions(CANDIDATES, full=True)
    user = {name: value for name, value in of_features(rows[0], features).items() if name != LABEL}
    tensors = rank_tensors([user], [[candidate_of(row, features) for row in rows]], features)

    def cost() -> float:
        begin = process_seconds(loaded.pid)
        loaded.time("rank", tensors, requests)
        return (process_seconds(loaded.pid) - begin) / requests

    return cost


def _reading(features: FeatureConfig, transform_output: Any, file: Path) -> Cost:
    """Raw tf.Examples to ids and numbers."""
    import tensorflow as tf

    from din_trainer.reading.training_examples import raw_example_reader

    read = raw_example_reader(features, transform_output)
    batches = tf.data.TFRecordDataset([str(file)], compression_type="GZIP").batch(8192).map(read)

    def cost() -> float:
        begin = cpu_seconds()
        for _ in batches:
            pass
        return (cpu_seconds() - begin) / ROWS

    return cost


def measure(quick: bool, console: Console) -> dict[str, Any]:
    """Makes all measurements. Returns what `--json` prints."""
    effort = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="din-bench-") as name, ExitStack() as models:
        console.print("data and models", highlight=False)
        made = {which: costs_of(features, effort, _new(Path(name) / which), models) for which, features in FEATURES.items()}
        calls = {(work, which): made[which][work] for work in WORK for which in FEATURES}
        for call in calls.values():  # the first call traces graphs
            call()
        return summary(measure_in_rounds(calls, console))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def summary(rounds: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """Returns the medians of CPU seconds by features and work, and of each work's ratios the median and the range.

    Args:
        rounds: CPU seconds, round by round, by work and features.
    """
    ratios = {
        work: [with_ten / plain for plain, with_ten in zip(rounds[work, "plain"], rounds[work, "with_ten"], strict=True)] for work in WORK
    }
    return {
        "ours": {which: {work: statistics.median(rounds[work, which]) for work in WORK} for which in FEATURES},
        "ratios": {work: statistics.median(found) for work, found in ratios.items()},
        "ranges": {work: [min(found), max(found)] for work, found in ratios.items()},
    }


def table(result: dict[str, Any]) -> Table:
    """The measurements as a table."""
    printed = Table("CPU time of", "plain", "with ten more features", "ratio", "range", "at most")
    for work, text in WORK.items():
        scale = 1e6 if work == "read" else 1e3
        seconds = [f"{result['ours'][which][work] * scale:.2f}" for which in FEATURES]
        low, high = result["ranges"][work]
        most = f"{AT_MOST[work]}" if work in AT_MOST else ""
        printed.add_row(text, *seconds, f"{result['ratios'][work]:.2f}", f"{low:.2f} to {high:.2f}", most)
    return printed


def main(quick: bool, as_json: bool) -> int:
    """Measures, then prints the table or JSON. Returns the exit status."""
    with output_to(Path(os.devnull)) as terminal:
        console = Console(file=terminal, quiet=as_json)
        result = measure(quick, console)
        if as_json:
            say(json.dumps(result), terminal)
        else:
            console.print(table(result))
    return 0
