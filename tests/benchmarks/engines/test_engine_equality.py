"""How far two runs are apart, with values worked out by hand."""

import math
from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from benchmarks.engines.engine_equality import _exact, _near, compare_analyses, differences
from benchmarks.engines.engine_table import _costs_of

_NAME = "demo"


def _workspace(
    folder: Path,
    mean: float = 0.25,
    median: float = 2.0,
    features: tuple[str, ...] = ("price", "age"),
    vocabulary: bytes = b"shoes\nhats\n",
) -> Path:
    """Statistics of some features with one mean, and one vocabulary, as TFX lays them out."""
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=40)
    for feature in features:
        dataset.features.add(num_stats=statistics_pb2.NumericStatistics(mean=mean, median=median, max=3.0)).path.step.append(feature)
    split = folder / "artifacts" / _NAME / "StatisticsGen/statistics/10/Split-eval"
    split.mkdir(parents=True)
    (split / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
    (split.parents[1] / "9").mkdir()  # an older one, which does not count
    assets = folder / "artifacts" / _NAME / "Transform/transform_graph/11/transform_fn/assets"
    assets.mkdir(parents=True)
    (assets / "categories").write_bytes(vocabulary)
    return folder


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    return _workspace(tmp_path / "expected")


def test_rounding_and_the_order_of_features_are_no_difference(tmp_path: Path, expected: Path) -> None:
    other = _workspace(tmp_path / "a", mean=0.25 * (1 + 1e-12), features=("age", "price"))
    vocabularies, statistics, _ = compare_analyses(other, expected, _NAME)
    assert vocabularies == ("vocabularies", "equal", True)
    assert statistics == ("statistics", "1.0e-12 relative", True)
    assert differences([vocabularies, statistics]) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mean": 0.25 * (1 + 1e-10)}, "statistics: 1.0e-10 relative, Split-eval ['price'].num_stats.0.mean.0"),
        ({"median": 2.05}, "their quantiles: 2.4e-02 relative, Split-eval ['price'].num_stats.0.median.0"),
        ({"vocabulary": b"hats\nshoes\n"}, "vocabularies: different"),
    ],
)
def test_what_is_more_than_rounding_is_a_difference(changes: dict, sentence: str, tmp_path: Path, expected: Path) -> None:
    assert differences(compare_analyses(_workspace(tmp_path / "a", **changes), expected, _NAME)) == [sentence]


def test_a_feature_that_one_run_lacks_is_a_difference(tmp_path: Path, expected: Path) -> None:
    assert differences(compare_analyses(_workspace(tmp_path / "a", features=("age",)), expected, _NAME)) == [
        "statistics: 3 values are in one run only",  # name, mean and maximum of the other feature
        "their quantiles: 1 values are in one run only",
    ]


def test_quantiles_may_differ_by_the_error_of_their_sketch(tmp_path: Path, expected: Path) -> None:
    _, statistics, quantiles = compare_analyses(_workspace(tmp_path / "a", median=2.01), expected, _NAME)
    assert statistics == ("statistics", "equal", True)
    assert quantiles == ("their quantiles", "5.0e-03 relative", True)


def test_workspaces_without_an_output_are_different(tmp_path: Path) -> None:
    assert differences(compare_analyses(tmp_path / "empty", tmp_path / "empty", _NAME)) == [
        "statistics: inf relative, no value",
        "their quantiles: inf relative, no value",
    ]


def test_the_largest_difference_counts_and_equal_nans_are_equal():
    one, other = {"mean": 2.0, "median": 3.0, "empty": math.nan}, {"mean": 2.0, "median": 3.0 + 6e-12, "empty": math.nan}
    assert _near("statistics", [one, one], 1e-11, relative=True) == ("statistics", "equal", True)
    assert _near("statistics", [one, other], 1e-11, relative=True) == ("statistics", "2.0e-12 relative", True)
    assert _near("statistics", [one, other], 1e-12, relative=True) == ("statistics", "2.0e-12 relative, median", False)
    assert _near("metrics", [one, other], 1e-11) == ("metrics", "6.0e-12 absolute", True)


def test_a_value_that_became_undefined_or_that_one_run_lacks_is_too_far():
    assert _near("metrics", [{"auc": 0.7}, {"auc": math.nan}], 1e-6) == ("metrics", "inf absolute, auc", False)
    assert _near("metrics", [{"auc": 0.7}, {"auc": 0.7, "gauc": 0.6}], 1e-6) == ("metrics", "1 values are in one run only", False)
    assert _near("metrics", [{}, {}], 1e-6).same is False  # nothing was compared


def test_vocabularies_are_compared_by_their_bytes():
    assert _exact("vocabularies", [{"item": b"3\n1\n"}, {"item": b"3\n1\n"}]) == ("vocabularies", "equal", True)
    assert _exact("vocabularies", [{"item": b"3\n1\n"}, {"item": b"1\n3\n"}]) == ("vocabularies", "different", False)


def test_seconds_are_added_up_and_the_largest_peak_counts():
    steps = {
        "StatisticsGen": {"cpu": 3.0, "wall": 5.0, "peak_mb": 900.0},
        "Trainer": {"cpu": 10.0, "wall": 7.0, "peak_mb": 700.0},
        "Pusher": {"cpu": 1.0, "wall": 1.5, "peak_mb": 800.0},
    }
    assert _costs_of(steps, "StatisticsGen") == steps["StatisticsGen"]
    assert _costs_of(steps, "the other steps") == {"cpu": 11.0, "wall": 8.5, "peak_mb": 800.0}
    assert _costs_of(steps, "all steps") == {"cpu": 14.0, "wall": 13.5, "peak_mb": 900.0}
