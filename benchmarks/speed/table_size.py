"""`python -m benchmarks.speed.table_size --rows N`: how large a table one machine can train: memory and CPU time of each step of its life.

The table is that of a hashed feature, so that it needs no vocabulary. It goes through what a training does with it, in this process.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.disk_use import disk_use
from benchmarks.speed.process_cost import cpu_seconds, memory_mb, peak_mb, reset_peak
from pipeline.console import Console
from pipeline.terminal import say

_SMALL = 100_000  # rows of the table that the steps are compared with
BATCH, _WARM_UP, _STEPS = 256, 64, 1024
_IMPRESSIONS: list[dict[str, Any]] = [
    {"user_id": user, "candidate_item_id": item, "historical_item_ids": [item], "label": item % 2} for user, item in ((1, 1), (2, 2))
]


class Stage(NamedTuple):
    """What a step of a table's life takes.

    Attributes:
        name: The step.
        cpu: CPU seconds.
        after: The memory of the process after it, without what it took before there was a table, in bytes.
        peak: The most that it took meanwhile, in the same way.
    """

    name: str
    cpu: float
    after: float
    peak: float


def settings(rows: int, dim: int) -> dict[str, Any]:
    """The configuration of a DIN whose users have a table of `rows` rows."""
    user = {"kind": "hashed", "dtype": "int64", "buckets": rows - 2, "dim": dim}  # padding and the missing value have a row each
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
    return {"features": {"behaviours": {"item": item}, "user": {"user_id": user}, "history_length": 10}}


def batches(rows: int, steps: int, size: int = BATCH, seed: int = 0) -> Any:
    """Random impressions, in which every row of the table occurs equally often."""
    import tensorflow as tf

    def batch(number: Any) -> tuple[dict[str, Any], Any]:
        draw = partial(tf.random.stateless_uniform, seed=tf.stack([number, seed]), minval=1, dtype=tf.int64)
        candidate, history = draw([size], maxval=3), draw([size, 10], maxval=3)
        features = {"user_id": draw([size], maxval=rows), "candidate_item_id": candidate, "historical_item_ids": history}
        return features, features["user_id"] % 2

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.range(steps).map(batch).prefetch(8).with_options(options)


def _train(model: Any, rows: int, steps: int) -> float:
    """Trains so many steps, and returns the CPU seconds of one."""
    import keras

    begin = cpu_seconds()
    keras.Model.fit(model, batches(rows, steps), verbose=0)
    return (cpu_seconds() - begin) / steps


def _made(rows: int, dim: int, transform_output: Any) -> Any:
    from din_trainer.config import DINConfig
    from din_trainer.models.make_model import make_model
    from din_trainer.training.compile_model import compile_model
    from din_trainer.training.initial_tables import vocabulary_sizes

    config = DINConfig.model_validate(settings(rows, dim))
    model = make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    return model


def step_seconds(rows: int, dim: int, transform_output: Any) -> float:
    """The CPU seconds of a training step with a table of so many rows."""
    model = _made(rows, dim, transform_output)
    _train(model, rows, _WARM_UP)
    return _train(model, rows, _STEPS)


def measure(rows: int, dim: int, folder: Path) -> tuple[list[Stage], dict[str, float]]:
    """Takes a table through its life.

    Args:
        rows: Rows of the table.
        dim: Size of a row.
        folder: An empty folder, for what is written.

    Returns:
        Each step, and figures by name: `small_step` and `step` (CPU seconds of a training step with a small table, and with this one),
        and what is on disk, in bytes: `checkpoint`, `best`, `keras` and `export`.
    """
    from benchmarks.exports.transform_analysis import analyse
    from din_trainer.export.signatures import export
    from din_trainer.features import FeatureConfig
    from din_trainer.keras_pins import saved_by_disk
    from din_trainer.training.checkpoints import Checkpoints
    from din_trainer.training.divergence import DivergenceCheck

    transform_output = analyse(_IMPRESSIONS, FeatureConfig.model_validate(settings(rows, dim)["features"]), folder / "transform")
    figures = {"small_step": step_seconds(_SMALL, dim, transform_output)}
    before, stages = memory_mb(), []

    def stage(name: str, do: Callable[[], Any]) -> Any:
        reset_peak()
        begin = cpu_seconds()
        result = do()
        stages.append(Stage(name, cpu_seconds() - begin, 1e6 * (memory_mb() - before), 1e6 * (peak_mb() - before)))
        return result

    model = stage("table and moments made", lambda: _made(rows, dim, transform_output))
    stage(f"{_WARM_UP} steps, with the trace", lambda: _train(model, rows, _WARM_UP))
    figures["step"] = stage(f"{_STEPS} steps", lambda: _train(model, rows, _STEPS))
    check = DivergenceCheck()
    check.set_model(model)
    check.on_epoch_begin(0)
    stage("all weights finite?", lambda: check.on_epoch_end(0))
    checkpoints = stage("checkpoints looked for", lambda: Checkpoints(model, folder / "checkpoints"))
    stage("checkpoint", lambda: checkpoints.save(1))
    figures["checkpoint"] = disk_use(folder / "checkpoints")
    stage("checkpoint, best weights", lambda: checkpoints.end_epoch(0.5))
    figures["best"] = disk_use(folder / "checkpoints") - figures["checkpoint"]
    stage("best weights read", checkpoints.restore_best)
    checkpoints.forget()
    with saved_by_disk():
        stage("din.keras", lambda: model.save(folder / "din.keras"))
    figures["keras"] = disk_use(folder / "din.keras")
    stage("export", lambda: export(model, transform_output, str(folder / "model")))
    figures["export"] = disk_use(folder / "model")
    return stages, figures


def _show(rows: int, dim: int, stages: list[Stage], figures: dict[str, float]) -> None:
    numbers = rows * dim
    table = Table("step", box=None, pad_edge=False)
    for heading in ("CPU s", "after, GB", "peak, GB", "after", "peak"):
        table.add_column(heading, justify="right")
    for name, cpu, after, peak in stages:
        table.add_row(name, f"{cpu:.1f}", f"{after / 1e9:.2f}", f"{peak / 1e9:.2f}", f"{after / numbers:.1f}", f"{peak / numbers:.1f}")
    say(f"{rows:,} rows of {dim}: rows × dim × 12 bytes are {12 * numbers / 1e9:.2f} GB. The last two columns are bytes / (rows × dim).")
    Console().print(table)
    step, small = 1e3 * figures["step"], 1e3 * figures["small_step"]
    say(f"A step of {BATCH} impressions took {step:.2f} ms of CPU time, with a table of {_SMALL:,} rows {small:.2f} ms.")
    disk = {"checkpoint": "a checkpoint", "best": "the best weights", "keras": "din.keras", "export": "the export"}
    say("On disk, in bytes / (rows × dim): " + ", ".join(f"{what} {figures[name] / numbers:.1f}" for name, what in disk.items()) + ".")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000, help="rows of the table (default: 50,000,000)")
    parser.add_argument("--dim", type=int, default=4, help="size of a row (default: 4)")
    parser.add_argument("--folder", type=Path, help="where an own folder is made for what is written (default: that of temporary files)")
    asked = parser.parse_args()
    from din_trainer.training.threads import share_cores

    share_cores()
    with tempfile.TemporaryDirectory(prefix="din-bench-", dir=asked.folder) as made:
        _show(asked.rows, asked.dim, *measure(asked.rows, asked.dim, Path(made)))
