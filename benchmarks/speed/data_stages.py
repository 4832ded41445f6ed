"""Measures each stage of the data path on one data set, in a process of its own: `python -m benchmarks.speed.data_stages WHOSE DATA OUT`.

WHOSE is `ours` or `anchor`. The last line that it prints is the costs as a JSON object.
"""

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.speed.process_cost import Costs, measured
from din_trainer.training.threads import share_cores
from pipeline.terminal import say

MEMORY_MB = 64.0  # bound of a split in memory, so that large splits are read block by block


class _NodeCosts:
    """Measures the nodes of the pipeline while they run."""

    def __init__(self, costs: Costs):
        self._costs = costs
        self._running: AbstractContextManager[None] | None = None

    def start(self, step: str) -> None:
        self._running = measured(self._costs, step)
        self._running.__enter__()

    def mark_cached(self) -> None: ...

    def finish(self) -> None:
        assert self._running is not None
        self._running.__exit__(None, None, None)


def measure_ours(data: Path, out: Path) -> Costs:
    """The check, each node up to Transform, and an epoch of training input."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_transform as tft

    from din_trainer.reading.training_examples import raw_example_reader
    from din_trainer.training.input_pipeline import Split
    from pipeline.configuration.load_config import load_config
    from pipeline.dag import create_data_pipeline
    from pipeline.datasets.layout import split_files
    from pipeline.records.metadata_store import RunOutputs
    from pipeline.run.checks.check_impressions import check_data
    from pipeline.run.inputs.prepare_places import prepare_places
    from pipeline.runners.local import run_locally

    costs: Costs = {}
    config = load_config("demo")
    with measured(costs, "check"):
        facts = check_data(data, config.features)
    places = prepare_places(config, data, facts, out)
    run_locally(create_data_pipeline(config, places), "bench", _NodeCosts(costs))
    transform_output = tft.TFTransformOutput(str(RunOutputs(places.metadata, "bench").uri("Transform", "transform_graph")))
    with measured(costs, "training input"):
        files = [str(file) for file in split_files(data, "train")]
        split = Split(files, raw_example_reader(config.features, transform_output), 256, shuffle_seed=0, memory_mb=MEMORY_MB)
        split.epoch().reduce(np.int64(0), lambda total, batch: total + tf.size(batch[1], tf.int64))
    return costs


def measure_anchor(data: Path, out: Path) -> Costs:
    """The same by hand."""
    from benchmarks.speed import data_anchor
    from pipeline.datasets.layout import SPLITS, split_files

    train = split_files(data, "train")
    costs: Costs = {}
    out.mkdir(parents=True)
    with measured(costs, "import"):
        for split in SPLITS:
            (out / split).mkdir()
            data_anchor.copy(split_files(data, split), out / split)
    with measured(costs, "statistics"):
        data_anchor.statistics(train)
    with measured(costs, "analysis"):
        data_anchor.analysis(train, out)
    with measured(costs, "training input"):
        data_anchor.training_input(train, out)
    return costs


if __name__ == "__main__":
    share_cores()
    measure = {"ours": measure_ours, "anchor": measure_anchor}[sys.argv[1]]
    say(json.dumps(measure(Path(sys.argv[2]), Path(sys.argv[3]))))
