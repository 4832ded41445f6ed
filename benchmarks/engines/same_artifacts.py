"""Compares what two workspaces hold of what Apache Beam has computed: vocabularies, statistics and metrics."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STATISTICS_TOLERANCE = 1e-11  # relative: sums are added up in another order
METRICS_TOLERANCE = 1e-6  # absolute: a float32 score depends on its batch


def newest(workspace: Path, name: str, node: str, output: str) -> list[Path]:
    """Returns the folders of an output of a node, oldest first."""
    return sorted((workspace / "artifacts" / name / node / output).glob("[0-9]*"), key=lambda folder: int(folder.name))


def differences(one: Path, other: Path, name: str) -> list[str]:
    """Compares the newest outputs of StatisticsGen and Transform of two workspaces.

    Returns:
        A sentence for each difference.
    """
    outputs = [("StatisticsGen", "statistics"), ("Transform", "transform_graph")]
    pairs = [(newest(one, name, *output)[-1:], newest(other, name, *output)[-1:]) for output in outputs]
    if missing := [output for output, pair in zip(outputs, pairs, strict=True) if not all(pair)]:
        return [f"{node} has no {output}" for node, output in missing]
    statistics, graph = [(ours[0], theirs[0]) for ours, theirs in pairs]
    return [*_statistics(*statistics), *_vocabularies(*graph)]


def _splits(one: Path, other: Path) -> list[tuple[str, Path, Path]]:
    names = sorted({folder.name for place in (one, other) for folder in place.glob("Split-*")})
    return [(name, one / name, other / name) for name in names]


def _vocabularies(one: Path, other: Path) -> Iterator[str]:
    folders = [place / "transform_fn/assets" for place in (one, other)]
    for name in sorted({file.name for folder in folders for file in folder.iterdir()}):
        ours, theirs = ((folder / name).read_bytes() if (folder / name).exists() else None for folder in folders)
        if ours != theirs:
            yield f"the vocabulary {name} differs"


def _statistics(one: Path, other: Path) -> Iterator[str]:
    import tensorflow_data_validation as tfdv

    for split, ours, theirs in _splits(one, other):
        found = [tfdv.load_stats_binary(str(place / "FeatureStats.pb")) for place in (ours, theirs)]
        for dataset in (dataset for statistics in found for dataset in statistics.datasets):
            features = sorted(dataset.features, key=lambda feature: str(feature.path))
            del dataset.features[:]
            dataset.features.extend(features)
        one_list, other_list = found
        yield from (f"{split} of StatisticsGen: {difference}" for difference in _fields(one_list, other_list, "statistics"))


def _fields(one: Any, other: Any, path: str) -> Iterator[str]:
    """The fields in which two messages differ by more than rounding."""
    for field in one.DESCRIPTOR.fields:
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        pairs = list(zip(ours, theirs, strict=False)) if field.is_repeated else [(ours, theirs)]
        if field.is_repeated and len(ours) != len(theirs):
            yield f"{path}.{field.name} has {len(ours)} parts, not {len(theirs)}"
        for x, y in pairs:
            if field.message_type:
                yield from _fields(x, y, f"{path}.{field.name}")
            elif not (math.isclose(x, y, rel_tol=STATISTICS_TOLERANCE) if isinstance(x, float) else x == y):
                yield f"{path}.{field.name} is {x}, not {y}"


def metric_differences(one: Path, other: Path) -> list[str]:
    """Compares two outputs of the Evaluator, of one model on the same examples. Their baselines may be different.

    Returns:
        A sentence for each difference.
    """
    import tensorflow_model_analysis as tfma

    ours, theirs = (
        {slice_: metrics[""][""] for slice_, metrics in tfma.load_eval_result(str(place)).slicing_metrics} for place in (one, other)
    )
    wrong = [f"the slice {slice_} is in one evaluation only" for slice_ in ours.keys() ^ theirs.keys()]
    for slice_ in ours.keys() & theirs.keys():
        for metric in {
            name for name in ours[slice_].keys() | theirs[slice_].keys() if not name.endswith("_diff")
        }:  # those against a baseline
            values = [float(metrics[slice_].get(metric, {}).get("doubleValue", "nan")) for metrics in (ours, theirs)]
            if not _same_metric(*values):
                wrong.append(f"{metric} of the slice {slice_} is {values[0]}, not {values[1]}")
    return wrong


def _same_metric(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0, abs_tol=METRICS_TOLERANCE) or (math.isnan(one) and math.isnan(other))
