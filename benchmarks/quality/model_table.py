"""`din bench quality` without a suite: compares DIN with its variants and with the base models of its paper on one data set.

All models are trained on the same data, with the same settings except their own, with several seeds. The epoch is selected on validation/;
the models are judged on eval/.
"""

import json
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.quality.compared_models import MODELS, choose_models
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.console import Console
from pipeline.datasets import synthetic
from pipeline.datasets.manifest import read_oracle
from pipeline.records.run_list import LOG_FILE
from pipeline.records.summary_tables import number, share_of_oracle
from pipeline.run.checks.check_environment import check_named_files
from pipeline.run.checks.check_impressions import check_data
from pipeline.run.inputs.data_schema import write_schema
from pipeline.terminal import Progress, output_to, say

if TYPE_CHECKING:  # at run time TensorFlow is imported after the check of the data
    from benchmarks.quality.experiment import Experiment, Measurement

WIDTH = 144  # of the table, on narrow terminals as well: a wrapped figure cannot be read


Oracle = dict[str, float | None] | None


def choose_seeds(first: int, count: int) -> list[int]:
    """Returns `count` seeds, starting with the seed of the configuration.

    Raises:
        InputError: `count` is less than 1.
    """
    if count < 1:
        raise InputError(f"--seeds {count}: each model needs at least one training.")
    return list(range(first, first + count))


def spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Returns mean, standard deviation of the sample (None for a single value) and values; None if a value is not known."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return {"mean": statistics.mean(known), "sd": statistics.stdev(known) if len(known) > 1 else None, "values": known}


def relative_improvement(auc: float, base: float | None) -> float | None:
    """Returns RelaImpr (equation 11 of the paper) as a fraction; None if the base model was not measured or has no AUC above 0.5."""
    return None if base is None or base <= 0.5 else (auc - 0.5) / (base - 0.5) - 1


def to_rows(measured: "dict[str, list[Measurement]]", oracle: Oracle) -> list[dict[str, Any]]:
    """Returns the rows of the JSON from the measurements of each model."""
    auc = {name: statistics.mean(m.auc for m in measurements) for name, measurements in measured.items()}
    return [
        {
            "name": name,
            "settings": list(MODELS[name].settings),
            "auc": spread([m.auc for m in measurements]),
            "gauc": spread([m.gauc for m in measurements]),
            "log_loss": spread([m.log_loss for m in measurements]),
            "validation_auc": spread([m.validation_auc for m in measurements]),
            "rela_impr": relative_improvement(auc[name], auc.get("base")),
            "share_of_oracle": share_of_oracle(auc[name], (oracle or {}).get("auc")),
            "seconds": statistics.mean(m.seconds for m in measurements),
        }
        for name, measurements in measured.items()
    ]


def figure(spread: dict[str, Any] | None) -> str:
    """Returns the mean and the standard deviation as text; a dash for None."""
    if spread is None:
        return "–"
    return number(spread["mean"]) + (f" ± {spread['sd']:.4f}" if spread["sd"] is not None else "")


def to_table(rows: list[dict[str, Any]], oracle: Oracle, seeds: list[int]) -> Table:
    """Returns the table for people. Its last row is the oracle, if that is known."""
    title = f"eval split, trained with seed {', '.join(map(str, seeds))}: mean ± standard deviation"
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for name in ("AUC", "GAUC", "log loss", "AUC, validation", "RelaImpr", "lift / oracle's", "training"):
        table.add_column(name, justify="right")
    for row in rows:
        improvement = "–" if row["rela_impr"] is None else f"{row['rela_impr']:+.2%}"
        share = "–" if row["share_of_oracle"] is None else f"{row['share_of_oracle']:.1%}"
        figures = [figure(row[metric]) for metric in ("auc", "gauc", "log_loss", "validation_auc")]
        table.add_row(MODELS[row["name"]].title, *figures, improvement, share, f"{row['seconds']:.1f} s")
    if oracle:
        table.add_row("oracle", *(number(oracle[metric]) for metric in ("auc", "gauc", "log_loss")), "", "", "100.0%", "")
    return table


def open_experiment(config: PipelineConfig, data: Path, workspace: Path, progress: Progress) -> "Experiment":
    """Checks a data set and runs the pipeline on it up to Transform.

    Args:
        config: The configuration whose features are prepared; with regularisation, the counts of the vocabularies' values as well.
        data: The data set.
        workspace: Where all files are written.
        progress: Shows each step.

    Raises:
        DataError: The data is refused.
    """
    progress.start("check data")
    check_named_files(config.features)
    facts = check_data(data, config.features)
    schema = write_schema(config, data, facts, workspace / "schemas")
    progress.finish()

    progress.start("start TensorFlow")
    from benchmarks.quality.experiment import Experiment

    progress.finish()
    return Experiment(config, data, schema, workspace, progress)


def most_regularised(configs: Iterable[PipelineConfig]) -> PipelineConfig:
    """Returns the configuration with the most regularisation. It needs the counts of the vocabularies' values; the others do not."""
    return max(configs, key=lambda config: config.training.regularization)


def measure(
    configs: dict[str, list[PipelineConfig]], data: Path | None, workspace: Path, progress: Progress
) -> "tuple[dict[str, list[Measurement]], Oracle]":
    """Trains and judges each model with each of its configurations.

    Args:
        configs: The configurations by model. They have the same features and data, but different models or trainings.
        data: A data set; None generates the synthetic one.
        workspace: Where all files are written.
        progress: Shows each step.

    Returns:
        The measurements by model, and the oracle's metrics if they are known.

    Raises:
        DataError: The data is refused.
    """
    config = most_regularised(config for row in configs.values() for config in row)
    if data is None:
        data = workspace / "data"
        progress.start("synthetic data")
        synthetic.generate(config.synthetic, data, command="din bench quality")
        progress.finish()
    oracle = read_oracle(data)
    experiment = open_experiment(config, data, workspace, progress)
    measured: dict[str, list[Measurement]] = {}
    for name, row in configs.items():
        for config in row:
            progress.start(f"{name}, seed {config.training.seed}")
            measurement = experiment.measure(config)
            progress.detail(f"AUC {measurement.auc:.4f}, GAUC {number(measurement.gauc)}, log loss {measurement.log_loss:.4f}")
            progress.finish()
            measured.setdefault(name, []).append(measurement)
    return measured, oracle


def main(source: str, settings: list[str], data: Path | None, seed_count: int, models: str | None, as_json: bool) -> int:
    """Measures in a temporary workspace, and prints a table or JSON. Returns the exit status."""
    base = load_config(source, settings)
    seeds = choose_seeds(base.training.seed, seed_count)
    configs = {
        name: [load_config(source, [*settings, *MODELS[name].settings, f"training.seed={seed}"]) for seed in seeds]
        for name in choose_models(models)
    }
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder, output_to(Path(folder) / LOG_FILE) as terminal:
        progress = Progress(Console(file=terminal, quiet=as_json))
        try:
            measured, oracle = measure(configs, data.absolute() if data else None, Path(folder), progress)
        finally:
            progress.stop()
        rows = to_rows(measured, oracle)
        if as_json:
            result = {"rows": rows, "oracle": oracle, "seeds": seeds, "data": str(data.absolute()) if data else None, "config": base.name}
            say(json.dumps(result), terminal)
        else:
            Console(file=terminal, width=WIDTH).print(to_table(rows, oracle, seeds))
    return 0
