"""Measures how far the training data is from earlier training data (drift), and from the requests that were served (skew).

It only measures and compares with bounds: DriftGate stops the run. So the figures of a refused run are kept.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifact_types import DriftFigures
from components.base.example_reader import read_schema
from components.drift.drift_figures import DRIFT_FILE, INFINITY_NORM, JENSEN_SHANNON, PRESENCE, Figure
from components.drift.feature_distances import (
    Kind,
    default_measure,
    measure_distances,
    statistics_by_feature,
    value_share,
)
from din_trainer.features import HISTORICAL_TIMESTAMPS, REQUEST_ID, TIMESTAMP

STATISTICS_FILE = "FeatureStats.pb"
_EVER_NEW = {TIMESTAMP, HISTORICAL_TIMESTAMPS, REQUEST_ID}  # their distance from other data means nothing: it is measured only on request


class Rule(NamedTuple):
    """A bound of the distance of one feature.

    Attributes:
        kind: Drift or skew.
        feature: The name of the feature.
        measure: One of `feature_distances`; "auto": by the kind of the feature.
        at_most: The largest distance.
        action: What a larger one does: `warn` or `refuse`.
    """

    kind: Kind
    feature: str
    measure: str
    at_most: float
    action: str


class Presence(NamedTuple):
    """When a feature counts as collapsed: it had a value in at least the share `before` of the impressions, and has in less than `now`."""

    before: float
    now: float
    action: str


class Data(NamedTuple):
    """A set of impressions.

    Attributes:
        name: In words, for messages: "train/", "train/ of run …".
        statistics: Its statistics.
    """

    name: str
    statistics: statistics_pb2.DatasetFeatureStatisticsList


def compare(
    training: Data,
    others: Mapping[Kind, Data],
    schema: schema_pb2.Schema,
    rules: list[Rule],
    presence: Presence,
    read: set[str],
) -> list[Figure]:
    """Compares the training data with other data, feature by feature.

    Args:
        training: The training data.
        others: Earlier training data (`drift`) and requests (`skew`).
        schema: The schema of the training data. A rule counts more than a comparator of the schema for the same feature.
        rules: Bounds of distances.
        presence: The bound of missing values.
        read: The features that a request has: those that the model reads.

    Returns:
        Figures as in `components.drift.drift_figures`: for each distance, and the presence of each feature that most impressions had.
    """
    statistics = training.statistics
    bounds = _bounds(statistics, set(others), schema, rules, read)
    wanted: dict[Kind, dict[str, list[str]]] = {kind: {} for kind in others}
    for kind, name, measure in bounds:
        wanted[kind].setdefault(name, []).append(measure)
    distances = measure_distances(statistics, {kind: other.statistics for kind, other in others.items()}, schema, wanted)
    figures = []
    for (kind, name, measure), rule in bounds.items():
        value = distances.get((kind, name, measure))
        if rule:
            passed = None if value is None else value <= rule.at_most
            figures.append(_figure(kind, name, measure, value, rule.at_most, passed, rule.action, training, others[kind]))
        elif value is not None:
            figures.append(_figure(kind, name, measure, value, None, None, None, training, others[kind]))
    declared = {feature.name for feature in schema.feature}
    return [*figures, *_presence_figures(training, others, presence, declared, read)]


def _bounds(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, kinds: set[Kind], schema: schema_pb2.Schema, rules: list[Rule], read: set[str]
) -> dict[tuple[Kind, str, str], Rule | None]:
    """Returns what to measure: kind, feature and measure, each with its rule; None for a feature that is only reported."""
    here = statistics_by_feature(statistics)

    def usual(name: str) -> str:
        return default_measure(here[name]) if name in here else JENSEN_SHANNON

    named = {(rule.kind, rule.feature) for rule in rules}
    chosen = [*rules, *(rule for rule in schema_rules(schema) if (rule.kind, rule.feature) not in named)]
    bounds: dict[tuple[Kind, str, str], Rule | None] = {}
    for rule in chosen:
        if rule.kind in kinds:
            bounds[rule.kind, rule.feature, usual(rule.feature) if rule.measure == "auto" else rule.measure] = rule
    judged = {(kind, feature) for kind, feature, _ in bounds}
    for kind in sorted(kinds):
        for name in [feature.name for feature in schema.feature if kind == "drift" or feature.name in read]:
            if name in here and name not in _EVER_NEW and (kind, name) not in judged:
                bounds[kind, name, usual(name)] = None
    return bounds


def schema_rules(schema: schema_pb2.Schema) -> list[Rule]:
    """Returns the bounds that a curated schema has in its comparators for drift and skew."""
    rules = []
    for feature in schema.feature:
        comparators: list[tuple[Kind, Any]] = [("drift", feature.drift_comparator), ("skew", feature.skew_comparator)]
        for kind, comparator in comparators:
            rules += [
                Rule(kind, feature.name, measure, getattr(comparator, measure).threshold, "refuse")
                for measure in (INFINITY_NORM, JENSEN_SHANNON)
                if comparator.HasField(measure)
            ]
    return rules


def _presence_figures(
    training: Data,
    others: Mapping[Kind, Data],
    presence: Presence,
    declared: set[str],
    read: set[str],
) -> Iterator[Figure]:
    """Yields the features that most impressions had. One that the schema does not have, so that no model reads it, is only warned about."""
    for kind, other in others.items():
        then, now = (data.statistics for data in ((other, training) if kind == "drift" else (training, other)))
        features, later = statistics_by_feature(then), statistics_by_feature(now)
        for name, feature in features.items():
            before = value_share(feature, then.datasets[0].num_examples)
            if before >= presence.before and before > 0 and (kind == "drift" or name in read):
                share = value_share(later.get(name), now.datasets[0].num_examples)
                action = presence.action if name in declared else "warn"
                passed = share >= presence.now
                yield {**_figure(kind, name, PRESENCE, share, presence.now, passed, action, training, other), "before": before}


def _figure(
    kind: str,
    feature: str,
    measure: str,
    value: float | None,
    bound: float | None,
    passed: bool | None,
    action: str | None,
    training: Data,
    other: Data,
) -> Figure:
    found = {"kind": kind, "feature": feature, "measure": measure, "value": value, "bound": bound, "passed": passed, "action": action}
    return {**found, "of": training.name, "against": other.name}


def read_statistics(folder: Path, split: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Reads the statistics of a split from StatisticsGen's artifact."""
    return tfdv.load_stats_binary(str(folder / f"Split-{split}" / STATISTICS_FILE))


@component
def DriftValidator(
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    schema: InputArtifact[standard_artifacts.Schema],
    figures: OutputArtifact[DriftFigures],
    settings: Parameter[str],
    source_fingerprint: Parameter[str],
    previous: InputArtifact[standard_artifacts.ExampleStatistics] = None,
    requests: InputArtifact[standard_artifacts.ExampleStatistics] = None,
) -> None:
    """Writes the figures of `compare` as a JSON array. Without `previous` and `requests` it is empty.

    Args:
        statistics: Of the training data.
        schema: The schema.
        figures: The output.
        settings: JSON: `split`, `previous_split` and `requests_split`; `name`, `previous_name` and `requests_name` for messages; `rules`,
            `presence` and `read` as in `compare`.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.
        previous: Of earlier training data, if there was any.
        requests: Of requests, if a log was given.
    """
    del source_fingerprint
    asked = json.loads(settings)
    others: dict[Kind, Data] = {}
    if previous is not None:
        others["drift"] = Data(asked["previous_name"], read_statistics(Path(previous.uri), asked["previous_split"]))
    if requests is not None:
        others["skew"] = Data(asked["requests_name"], read_statistics(Path(requests.uri), asked["requests_split"]))
    rules, presence = [Rule(**rule) for rule in asked["rules"]], Presence(**asked["presence"])
    now = Data(asked["name"], read_statistics(Path(statistics.uri), asked["split"]))
    rows = compare(now, others, read_schema(schema), rules, presence, set(asked["read"])) if others else []
    folder = Path(figures.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DRIFT_FILE).write_text(json.dumps(rows) + "\n")
