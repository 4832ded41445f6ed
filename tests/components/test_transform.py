"""Transform on a window of days: what was counted for a day is not counted again, and the result is that of one pass over all days."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import transform_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, proto_utils

from components import transform
from components.base import shard_tfxio
from din_trainer.config import ANALYZER_CACHE_KEY, COUNTS_KEY, FEATURES_KEY, SOURCE_KEY
from din_trainer.features import FeatureConfig
from din_trainer.transform.raw_schema import make_schema
from din_trainer.transform.scales import read_scales, read_statistics, scaled_names
from pipeline.configuration.node_settings import PREPROCESSING_FN
from pipeline.runners.beam_options import local_options
from tests.transforming import to_example

FEATURES = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "min_count": 2},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes"},
        },
        "context": {"price": {"kind": "numeric", "dtype": "float"}},
    }
)


def impressions(day):
    """Few items, so that many counts are equal, and two items that only occur often enough in two days together."""
    rng = np.random.default_rng(day)
    for _ in range(30):
        items = [int(item) for item in rng.integers(0, 40, size=3)]
        categories = [f"category {item % 5 + day}" for item in items]
        yield {
            "user_id": int(rng.integers(0, 9)),
            "candidate_item_id": items[0],
            "candidate_category_id": categories[0],
            "historical_item_ids": [*items[1:], 1000],
            "historical_category_ids": [*categories[1:], "rare"],
            "price": float(rng.gamma(2, 50)),
            "label": 0,
        }


def examples_of(folder: Path, *days: int) -> standard_artifacts.Examples:
    """An Examples artifact with one shard a day."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(["impressions"])
    (folder / "Split-impressions").mkdir(parents=True)
    for day in days:
        with tf.io.TFRecordWriter(str(folder / "Split-impressions" / f"day-{day}.gz"), "GZIP") as writer:
            for row in impressions(day):
                writer.write(to_example(row))
    return artifact


@pytest.fixture
def schema(tmp_path):
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path / "schema")
    io_utils.write_pbtxt_file(str(tmp_path / "schema" / "schema.pbtxt"), make_schema(FEATURES))
    return artifact


def run(out: Path, examples, schema, cache="", source="1", features=FEATURES):
    """Runs the node, and returns its output."""
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(out)
    custom = {FEATURES_KEY: features.model_dump_json(), COUNTS_KEY: True, SOURCE_KEY: source, ANALYZER_CACHE_KEY: str(cache)}
    context = BaseBeamExecutor.Context(beam_pipeline_args=local_options(), tmp_dir=str(out) + "-temp", unique_id="1")
    transform.Executor(context).Do(
        {"examples": examples, "schema": [schema]},
        {"transform_graph": [graph]},
        {
            standard_component_specs.PREPROCESSING_FN_KEY: PREPROCESSING_FN,
            standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(custom),
            standard_component_specs.SPLITS_CONFIG_KEY: proto_utils.proto_to_json(transform_pb2.SplitsConfig(analyze=["impressions"])),
            standard_component_specs.DISABLE_STATISTICS_KEY: 1,
        },
    )
    return out


def assets(graph: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (graph / "transform_fn" / "assets").iterdir()}


def price_scale(graph: Path) -> list[float]:
    scale = read_scales(graph, ["price"])["price"]
    return [scale["mean"], scale["variance"]]


@pytest.fixture
def shards_read(monkeypatch):
    """The names of the shards that are read."""
    names, original = [], shard_tfxio._ParseShard.process

    def process(self, file):
        names.append(Path(file).name)
        return original(self, file)

    monkeypatch.setattr(shard_tfxio._ParseShard, "process", process)
    return names


def test_a_window_of_days_counts_only_its_new_day_and_gives_the_files_of_one_pass(tmp_path, schema, shards_read):
    """The vocabularies (ties and min_count included) and their counts are byte-equal; means and variances are equal in double precision."""
    days = [examples_of(tmp_path / f"day-{day}", day) for day in range(4)]
    cache = tmp_path / "cache"
    run(tmp_path / "first", days[:3], schema, cache)
    assert sorted(shards_read) == ["day-0.gz", "day-1.gz", "day-2.gz"]

    shards_read.clear()
    window = run(tmp_path / "second", days[1:], schema, cache)
    assert shards_read == ["day-3.gz"]

    anew = run(tmp_path / "anew", [examples_of(tmp_path / "days", 1, 2, 3)], schema)  # without a folder nothing is cached
    assert assets(window) == assets(anew)
    assert len(assets(window)) == 6
    scales = [price_scale(graph) for graph in (window, anew)]
    np.testing.assert_allclose(*scales, rtol=1e-14)
    prices = np.concatenate([np.array([row["price"] for row in impressions(day)], np.float32) for day in (1, 2, 3)]).astype(np.float64)
    np.testing.assert_allclose(scales[0], [prices.mean(), prices.var()], rtol=1e-12)

    shards_read.clear()
    again = run(tmp_path / "again", days[1:], schema, cache)
    assert not shards_read
    assert assets(again) == assets(anew)
    np.testing.assert_allclose(price_scale(again), scales[0], rtol=1e-14)  # Beam adds parts in any order


def test_the_cache_holds_the_present_window_and_the_present_code_alone(tmp_path, schema, shards_read):
    days = [examples_of(tmp_path / f"day-{day}", day) for day in range(2)]
    cache = tmp_path / "cache"
    run(tmp_path / "first", days[:1], schema, cache)
    (cache / "1.new").mkdir()  # of a run that was killed
    run(tmp_path / "second", days[1:], schema, cache)
    assert [folder.name for folder in cache.iterdir()] == ["1"]
    assert sum(folder.is_dir() for folder in (cache / "1").iterdir()) == 1
    run(tmp_path / "third", days[1:], schema, cache, source="2")
    assert [folder.name for folder in cache.iterdir()] == ["2"]
    assert shards_read == ["day-0.gz", "day-1.gz", "day-1.gz"]


KINDS = FeatureConfig.model_validate(
    {
        "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
        "candidate": {
            "price": {"kind": "bucketized", "dtype": "float", "buckets": 4},
            "range": {"kind": "numeric", "dtype": "float", "scale": "minmax"},
            "rank": {"kind": "numeric", "dtype": "float", "scale": "quantile"},
            "brands": {"kind": "tags", "dtype": "bytes"},
            "pair": {"kind": "cross", "of": ["user_id", "candidate_item_id"]},
        },
    }
)


@pytest.mark.parametrize("second_pass", [False, True])
def test_all_kinds_are_cached_by_day_but_crosses_with_quantiles(tmp_path, shards_read, monkeypatch, second_pass):
    """What a second pass needs is read again, and the result is that of one pass all the same."""
    features = KINDS
    if second_pass:
        pair = KINDS.candidate["pair"].model_copy(update={"of": ("candidate_item_id", "price")})
        features = KINDS.model_copy(update={"candidate": {**KINDS.candidate, "pair": pair}})

    plain = impressions

    def of_all_kinds(day):
        for row in plain(day):
            yield {**row, "range": row["price"], "rank": row["price"], "brands": [row["candidate_category_id"], "rare"]}

    monkeypatch.setitem(globals(), "impressions", of_all_kinds)
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path / "schema")
    io_utils.write_pbtxt_file(str(tmp_path / "schema" / "schema.pbtxt"), make_schema(features))
    days, cache = [examples_of(tmp_path / f"day-{day}", day) for day in range(3)], tmp_path / "cache"
    run(tmp_path / "first", days[:2], artifact, cache, features=features)
    shards_read.clear()
    window = run(tmp_path / "second", days[1:], artifact, cache, features=features)
    assert set(shards_read) == ({"day-1.gz", "day-2.gz"} if second_pass else {"day-2.gz"})
    anew = run(tmp_path / "anew", [examples_of(tmp_path / "days", 1, 2)], artifact, features=features)
    assert assets(window) == assets(anew)
    assert read_statistics(window, scaled_names(features)) == read_statistics(anew, scaled_names(features))
