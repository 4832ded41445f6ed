"""How far the results of two runs on the same data are apart, on two engines or after faults: from the examples to the weights."""

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.base.tfrecord import read_records
from pipeline.configuration.pipeline_config import PipelineConfig

STATISTICS_TOLERANCE = 1e-11  # relative: sums are added up in another order
QUANTILES_TOLERANCE = 0.01  # relative: TFDV takes quantiles from a sketch, which is merged in another order; this is its own error
METRICS_TOLERANCE = 1e-6  # absolute: a float32 score depends on its batch


class Equality(NamedTuple):
    """What was compared, and how far off it is.

    Attributes:
        what: The result of the run.
        found: "equal", or how far off in words.
        same: Whether that is within what the order of a sum can change.
    """

    what: str
    found: str
    same: bool


def compare(local: Path, other: Path, config: PipelineConfig) -> list[Equality]:
    """Compares two workspaces, each after one run of the same configuration on the same data."""

    def outputs(node: str, output: str) -> list[Path]:
        return [newest(workspace, config.name, node, output)[-1] for workspace in (local, other)]

    examples, graphs = outputs("ImportExampleGen", "examples"), outputs("Transform", "transform_graph")
    return [
        _exact("examples", [_multiset(folder) for folder in examples]),
        _exact("sliced examples", [_multiset(folder) for folder in outputs("SliceColumns", "sliced_examples")]),
        *compare_analyses(local, other, config.name),
        _exact("batches", [_batches(*pair, config) for pair in zip(examples, graphs, strict=True)]),
        _near("weights", [_weights(run) for run in outputs("Trainer", "model_run")], 0.0),
        compare_metrics(*outputs("Evaluator", "evaluation")),
    ]


def compare_analyses(one: Path, other: Path, name: str) -> list[Equality]:
    """Compares the vocabularies and statistics of two workspaces. A node that has put out nothing counts as one without values.

    Histograms and medians of numbers are compared apart, because TFDV computes them from a quantiles sketch.
    """
    graphs = [newest(workspace, name, "Transform", "transform_graph")[-1:] for workspace in (one, other)]
    statistics = [newest(workspace, name, "StatisticsGen", "statistics")[-1:] for workspace in (one, other)]
    assets = [{file.name: file.read_bytes() for folder in last for file in (folder / "transform_fn/assets").iterdir()} for last in graphs]
    numbers = [{key: value for folder in last for key, value in _statistics(folder).items()} for last in statistics]
    exact, sketched = (
        [{key: value for key, value in found.items() if _is_sketched(key) is of_sketch} for found in numbers] for of_sketch in (False, True)
    )
    return [
        _exact("vocabularies", assets),
        _near("statistics", exact, STATISTICS_TOLERANCE, relative=True),
        _near("their quantiles", sketched, QUANTILES_TOLERANCE, relative=True),
    ]


def compare_metrics(one: Path, other: Path) -> Equality:
    """Compares two outputs of the Evaluator, of one model on the same examples. Their baselines may be different."""
    return _near("metrics", [_metrics(one), _metrics(other)], METRICS_TOLERANCE)


def differences(compared: Sequence[Equality]) -> list[str]:
    """Returns a sentence for each result that is too far off."""
    return [f"{what}: {found}" for what, found, same in compared if not same]


def newest(workspace: Path, name: str, node: str, output: str) -> list[Path]:
    """Returns the folders of an output of a node, oldest first."""
    return sorted((workspace / "artifacts" / name / node / output).glob("[0-9]*"), key=lambda folder: int(folder.name))


def _exact(what: str, pair: Sequence[Any]) -> Equality:
    same = pair[0] == pair[1]
    return Equality(what, "equal" if same else "different", same)


def _near(what: str, pair: Sequence[dict[str, float]], tolerance: float, relative: bool = False) -> Equality:
    """Compares numbers by their names."""
    one, other = pair
    if one.keys() != other.keys():
        return Equality(what, f"{len(one.keys() ^ other.keys())} values are in one run only", False)
    off, where = max(((_off(one[name], other[name], relative), name) for name in one), default=(math.inf, "no value"))
    found = "equal" if off == 0 else f"{off:.1e} {'relative' if relative else 'absolute'}"
    return Equality(what, found if off <= tolerance else f"{found}, {where}", off <= tolerance)


def _off(one: float, other: float, relative: bool) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    off = abs(one - other) / (max(abs(one), abs(other)) if relative else 1)
    return math.inf if math.isnan(off) else off


def _multiset(examples: Path) -> dict[str, Counter[bytes]]:
    """The records of each split."""
    return {split.name: Counter(record for file in split.iterdir() for record in read_records(file)) for split in examples.glob("Split-*")}


def _statistics(folder: Path) -> dict[str, float]:
    """The numbers of TFDV's statistics; any other value counts as its hash."""
    import tensorflow_data_validation as tfdv

    found: dict[str, float] = {}
    for split in folder.glob("Split-*"):
        for dataset in tfdv.load_stats_binary(str(split / "FeatureStats.pb")).datasets:
            for feature in dataset.features:
                found |= dict(_leaves(feature, f"{split.name} {feature.path.step}"))
    return found


def _is_sketched(name: str) -> bool:
    """Whether a figure of the statistics comes from a sketch."""
    return ".histograms." in name or ".num_values_histogram." in name or ".median." in name


def _leaves(message: Any, path: str) -> Iterator[tuple[str, float]]:
    for field, value in message.ListFields():
        for number, part in enumerate(value if field.is_repeated else [value]):
            name = f"{path}.{field.name}.{number}"
            if field.message_type:
                yield from _leaves(part, name)
            else:
                yield name, part if isinstance(part, float | int) else float(int(hashlib.sha256(str(part).encode()).hexdigest()[:12], 16))


def _batches(examples: Path, graph: Path, config: PipelineConfig) -> str:
    """A checksum of the batches of the first epoch, in their order."""
    import tensorflow_transform as tft

    from din_trainer.reading.training_examples import raw_example_reader
    from din_trainer.training.input_pipeline import Split

    files = sorted(str(file) for file in (examples / "Split-train").iterdir())
    read = raw_example_reader(config.features, tft.TFTransformOutput(str(graph)))
    split = Split(files, read, config.training.batch_size, shuffle_seed=config.training.seed, labels=config.features.labels)
    total = hashlib.sha256()
    for features, *labels in split.epoch(0):
        for name in sorted(features):
            total.update(name.encode() + features[name].numpy().tobytes())
        for label in labels:
            total.update(label.numpy().tobytes())
    return total.hexdigest()


def _weights(run: Path) -> dict[str, float]:
    """All weights of the model, and of its optimizer."""
    import h5py

    found: dict[str, float] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.update({f"{name} {number}": float(value) for number, value in enumerate(item[()].ravel())})

    with zipfile.ZipFile(run / "din.keras") as archive, archive.open("model.weights.h5") as file, h5py.File(file) as weights:
        weights.visititems(keep)
    return found


def _metrics(evaluation: Path) -> dict[str, float]:
    """The metrics of each slice, without those against a baseline."""
    import tensorflow_model_analysis as tfma

    return {
        f"{slice_} {name}": float(value["doubleValue"])
        for slice_, metrics in tfma.load_eval_result(str(evaluation)).slicing_metrics
        for name, value in metrics[""][""].items()
        if "doubleValue" in value and not name.endswith("_diff")
    }
