"""The comparison of what Beam has computed in two workspaces."""

from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from benchmarks.engines.same_artifacts import differences

_NAME = "demo"


def _workspace(
    folder: Path, mean: float = 0.25, features: tuple[str, ...] = ("price", "age"), vocabulary: bytes = b"shoes\nhats\n"
) -> Path:
    """Statistics of some features with one mean, and one vocabulary, as TFX lays them out."""
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=40)
    for feature in features:
        dataset.features.add(num_stats=statistics_pb2.NumericStatistics(mean=mean, max=3.0)).path.step.append(feature)
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
    assert differences(_workspace(tmp_path / "a", mean=0.25 * (1 + 1e-12), features=("age", "price")), expected, _NAME) == []


def test_another_mean_is_a_difference(tmp_path: Path, expected: Path) -> None:
    found = differences(_workspace(tmp_path / "a", mean=0.25 * (1 + 1e-10)), expected, _NAME)
    assert len(found) == 2 and "Split-eval of StatisticsGen: statistics.datasets.features.num_stats.mean is 0.25" in found[0]


def test_a_missing_feature_is_a_difference(tmp_path: Path, expected: Path) -> None:
    found = differences(_workspace(tmp_path / "a", features=("age",)), expected, _NAME)
    assert "Split-eval of StatisticsGen: statistics.datasets.features has 1 parts, not 2" in found


def test_the_order_of_a_vocabulary_is_a_difference(tmp_path: Path, expected: Path) -> None:
    assert differences(_workspace(tmp_path / "a", vocabulary=b"hats\nshoes\n"), expected, _NAME) == ["the vocabulary categories differs"]


def test_a_workspace_without_an_output_is_a_difference(tmp_path: Path, expected: Path) -> None:
    assert differences(tmp_path / "empty", expected, _NAME) == ["StatisticsGen has no statistics", "Transform has no transform_graph"]
