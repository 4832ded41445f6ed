"""The suite of the full public data sets, on a few rows in their formats: the imports have what the configurations read."""

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.suite.suite_config import load_suite
from benchmarks.suite.suite_data import import_once, locate
from pipeline.configuration.load_config import load_config
from pipeline.run.checks.check_impressions import check_data

SUITE = {data.name: data for data in load_suite("published").data}
X1 = (
    "clk,btag_his,cate_his,brand_his,userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
    "new_user_class_level,adgroup_id,cate_id,campaign_id,customer,brand,price,pid,btag"
)


def write_amazon(folder: Path) -> None:
    """Reviews of a user on days 1 to 5; the metadata as Python literals."""
    reviews = [
        {"reviewerID": f"A{user}", "asin": f"B{user + day}", "unixReviewTime": 86_400 * day} for user in range(9) for day in range(1, 6)
    ]
    with gzip.open(folder / "reviews_Electronics_5.json.gz", "wt") as file:
        file.writelines(json.dumps(review) + "\n" for review in reviews)
    with gzip.open(folder / "meta_Electronics.json.gz", "wt") as file:
        file.writelines(f"{{'asin': 'B{item}', 'categories': [['Electronics', 'Kind {item % 3}']]}}\n" for item in range(14))


def write_movielens(folder: Path) -> None:
    ratings = [f"{user},{item},{5 - 3 * (item % 2)},{1000 + item}" for user in range(1, 80) for item in range(1, 7)]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]))
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *(f"{item},A film,Drama|War" for item in range(1, 7))]))


def write_taobao(folder: Path) -> None:
    def row(user: int, ad: int) -> str:
        return f"{ad % 2},1^1,{ad}^3,{ad}^4^5,{user},1,2,1,3,2,3,0,2,{ad},{ad % 4},7,8,{ad % 5},12.5,430548_1007,1"

    (folder / "train.csv").write_text("\n".join([X1, *(row(user, ad) for user in range(60) for ad in range(4))]))
    (folder / "test.csv").write_text("\n".join([X1, *(row(user, ad) for user in range(9) for ad in range(4))]))


@pytest.mark.parametrize(
    ("name", "write"), [("amazon_electronics", write_amazon), ("movielens_20m", write_movielens), ("taobao_ad_x1", write_taobao)]
)
def test_what_is_imported_is_what_the_configuration_reads(tmp_path, name, write):
    data = SUITE[name]
    (tmp_path / "sources" / data.source).mkdir(parents=True)
    write(tmp_path / "sources" / data.source)
    imported = import_once(data, locate(data, tmp_path / "sources"), tmp_path / "data", "")
    facts = check_data(imported.folder, load_config(data.config, data.settings).features)
    assert facts.examples == imported.manifest["examples"] and min(facts.examples.values()) > 0
    assert data.published


def test_the_split_of_movielens_is_the_papers():
    assert SUITE["movielens_20m"].options["eval_share"] == round(38_493 / 138_493, 3)
