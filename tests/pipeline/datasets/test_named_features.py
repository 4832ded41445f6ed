"""The configurations of data with item fields: the data set that their command makes has each feature that they declare, in its type."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.base.tfrecord import read_batches
from din_trainer.features import Column
from pipeline.configuration.load_config import load_config
from pipeline.datasets.importing import import_source as importing
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.by_name import find_mapping, open_source
from pipeline.datasets.synthetic import generate

TYPES = {"int64": pa.int64(), "bytes": pa.large_binary(), "float": pa.float32()}


@pytest.fixture(autouse=True)
def _splits_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)


def columns_of(data: Path) -> dict[str, tuple[pa.DataType, list[Any]]]:
    (batch,) = [batch for path in (data / "train").iterdir() for batch in read_batches(path)][:1]
    return {name: (column.type.value_type, column.to_pylist()) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def check(name: str, data: Path) -> dict[str, tuple[pa.DataType, list[Any]]]:
    """Each column that the configuration asks for is in the data; fields of events are as many as the events."""
    found, features = columns_of(data), load_config(name).features
    wanted: list[Column] = [*features.columns, *features.kept_columns]
    assert {column.name: TYPES[column.dtype] for column in wanted} == {column.name: found[column.name][0] for column in wanted}
    for first, *others in features.aligned_columns.values():
        for column in (column for column in others if column.width):
            for events, values in zip(found[first.name][1], found[column.name][1], strict=True):
                assert len(values or []) == column.width * len(events or [])
    return found


def test_ads(tmp_path: Path) -> None:
    generate(load_config("ads").synthetic.model_copy(update={"examples": 1_000}), tmp_path / "data")
    check("ads", tmp_path / "data")


def test_movielens_tags(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,5,1\n1,2,5,2\n1,3,5,3\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n1,"One (1990)",A|B\n2,Two,(no genres listed)\n3,Three (2001),B\n')
    import_source(open_source("movielens", tmp_path, item_fields=True), tmp_path / "out")
    found = check("movielens_tags", tmp_path / "out")
    lengths = [sum(row or []) for row in found["historical_genres_lengths"][1]]
    assert lengths == [len(row or []) for row in found["historical_genres"][1]] == [0, 2, 2]


def test_taobao_ads_with_profiles(tmp_path: Path) -> None:
    """Rows in the form of the files: a brand that is NULL, a level that is empty, a user without a profile, a column with a blank."""
    (tmp_path / "raw_sample.csv").write_text(
        "user,time_stamp,adgroup_id,pid,nonclk,clk\n7,1494137644,1,430548_1007,0,1\n7,1494137700,3,430548_1007,1,0\n8,1494137800,1,x,1,0\n"
        "9,1494137900,1,x,1,0\n"
    )
    (tmp_path / "ad_feature.csv").write_text(
        "adgroup_id,cate_id,campaign_id,customer,brand,price\n1,9025,108570,1,95471,170.0\n3,6261,387991,6,NULL,199.5\n"
    )
    (tmp_path / "user_profile.csv").write_text(
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,new_user_class_level \n"
        "7,0,5,2,5,,3,0,3\n8,0,5,2,4,1,3,0,\n"
    )
    source = open_source("clicklog", tmp_path / "raw_sample.csv", find_mapping("taobao_ads_profile"))
    import_source(source, tmp_path / "out")
    found = {name: [row or [] for row in values] for name, (_, values) in check("taobao_ads", tmp_path / "out").items()}
    assert found["candidate_brand_id"] == [[b"95471"], [b"(unknown)"], [b"95471"], [b"95471"]]
    assert found["candidate_price"] == [[170.0], [199.5], [170.0], [170.0]]
    assert found["new_user_class_level"] == [[b"3"], [b"3"], [], []] and found["pvalue_level"] == [[], [], [b"1"], []]
    assert found["age_level"] == [[b"5"], [b"5"], [b"4"], []]
    assert found["historical_prices"] == [[], [170.0], [], []] and found["historical_brand_ids"] == [[], [b"95471"], [], []]
