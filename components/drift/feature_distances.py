"""How far two sets of impressions are from each other, feature by feature, by their statistics: TFDV's distances, and missing values.

TFX's DistributionValidator calls the same function of TFDV. It has no measure by kind of feature, knows nothing of missing values, and
passes L-infinity of numbers as 0.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.drift.drift_figures import INFINITY_NORM, JENSEN_SHANNON

Kind = Literal["drift", "skew"]

_MEASURES = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: INFINITY_NORM,
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: JENSEN_SHANNON,
}
_MISSING = {"-1", ""}  # as values of categories


def statistics_by_feature(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """Returns the statistics of each feature, by its name."""
    return {".".join(feature.path.step): feature for feature in statistics.datasets[0].features}


def default_measure(feature: statistics_pb2.FeatureNameStatistics) -> str:
    """Returns L-infinity for categories, which have counts, and the divergence for numbers, which have histograms."""
    return INFINITY_NORM if feature.WhichOneof("stats") == "string_stats" else JENSEN_SHANNON


def value_share(feature: statistics_pb2.FeatureNameStatistics | None, examples: int) -> float:
    """Returns the share of the impressions in which a feature has a value.

    −1 and "" of categories and NaN of numbers count as missing. For lists it is a bound from above: the share of lists that are not empty,
    or less where all lists together hold fewer values.

    Args:
        feature: Its statistics; None if no impression has it.
        examples: The number of impressions.
    """
    if feature is None or not examples:
        return 0.0
    common = getattr(feature, feature.WhichOneof("stats")).common_stats
    missing = sum(top.frequency for top in feature.string_stats.top_values if top.value in _MISSING)
    missing += max((histogram.num_nan for histogram in feature.num_stats.histograms), default=0)
    return max(min(common.num_non_missing, common.tot_num_values - missing), 0) / examples


def measure_distances(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    others: Mapping[Kind, statistics_pb2.DatasetFeatureStatisticsList],
    schema: schema_pb2.Schema,
    wanted: Mapping[Kind, Mapping[str, Collection[str]]],
) -> dict[tuple[Kind, str, str], float]:
    """Measures how far the distributions of features are from others, from 0 to 1.

    Args:
        statistics: Of the training data.
        others: Of earlier training data (`drift`), and of the requests that were served (`skew`).
        schema: The schema of the training data.
        wanted: For each kind the measures of each feature.

    Returns:
        The distance by kind, feature and measure. What cannot be measured is not there: a feature that one side does not have, that has
        other statistics there, or whose numbers were to be measured by L-infinity, for which TFDV would say 0.
    """
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    here = statistics_by_feature(statistics)
    there = {kind: statistics_by_feature(other) for kind, other in others.items()}
    for feature in compared.feature:
        feature.ClearField("drift_comparator")
        feature.ClearField("skew_comparator")
        for kind, found in there.items():
            comparator = feature.drift_comparator if kind == "drift" else feature.skew_comparator
            for measure in wanted[kind].get(feature.name, ()):
                if _comparable(here.get(feature.name), found.get(feature.name), measure):
                    getattr(comparator, measure).threshold = 1.0
    found = tfdv.validate_statistics(
        statistics, compared, previous_statistics=others.get("drift"), serving_statistics=others.get("skew")
    ).drift_skew_info
    measured = [("drift", info, one) for info in found for one in info.drift_measurements]
    measured += [("skew", info, one) for info in found for one in info.skew_measurements]
    return {(kind, ".".join(info.path.step), _MEASURES[one.type]): one.value for kind, info, one in measured}  # type: ignore[misc]


def _comparable(here: Any, there: Any, measure: str) -> bool:
    if here is None or there is None or not _has_values(here) or not _has_values(there):
        return False
    kind = here.WhichOneof("stats")
    return kind == there.WhichOneof("stats") and (kind == "string_stats" or measure == JENSEN_SHANNON)


def _has_values(feature: statistics_pb2.FeatureNameStatistics) -> bool:
    return getattr(feature, feature.WhichOneof("stats")).common_stats.tot_num_values > 0
