"""The ten features of `din bench features`, and their impressions."""

from collections import Counter

import numpy as np
import tensorflow as tf

from benchmarks.exports.ten_features import PLAIN, WITH_TEN, candidate_of, of_features, random_impressions, write
from din_trainer.kinds import Tags, Vector


def test_there_are_ten_more_features_half_of_them_of_the_candidate():
    plain = {placed.name for placed in PLAIN.placed}
    further = [placed for placed in WITH_TEN.placed if placed.name not in plain]
    assert Counter(placed.feature.kind for placed in further) == {"categorical": 4, "tags": 2, "numeric": 2, "vector": 1, "cross": 1}
    assert [p.feature.most for p in further if isinstance(p.feature, Tags)] == [5, 5]
    assert [p.feature.size for p in further if isinstance(p.feature, Vector)] == [64]
    of_candidates = Counter(placed.feature.kind for placed in further if placed.role == "candidate")
    assert of_candidates == {"categorical": 2, "tags": 1, "numeric": 1, "cross": 1}
    assert {*plain} < {placed.name for placed in WITH_TEN.placed} and PLAIN.behaviours == WITH_TEN.behaviours


def test_impressions_have_every_feature_and_histories_of_all_lengths():
    rows = random_impressions(200)
    assert {len(row["historical_item_ids"]) for row in rows} == set(range(1, 11))
    assert {len(row["historical_item_ids"]) for row in random_impressions(20, full=True)} == {10}
    for row in rows:
        assert {*of_features(row, WITH_TEN)} == {*row}
        assert (len(row["interests"]), len(row["words"]), len(row["face"])) == (5, 5, 64)
        assert row["historical_category_ids"] == [item % 40 for item in row["historical_item_ids"]]
        assert row["candidate_category_id"] == row["candidate_item_id"] % 40


def test_a_candidate_has_its_own_features_alone():
    row = random_impressions(1)[0]
    assert {*candidate_of(row, PLAIN)} == {"candidate_item_id", "candidate_category_id"}
    assert {*candidate_of(row, WITH_TEN)} == {"candidate_item_id", "candidate_category_id", "brand", "shop", "words", "price"}


def test_written_impressions_have_the_values_that_the_features_read(tmp_path):
    rows = [of_features(row, WITH_TEN) for row in random_impressions(3)]
    write(rows, WITH_TEN, tmp_path / "rows.gz")
    records = list(tf.data.TFRecordDataset([str(tmp_path / "rows.gz")], compression_type="GZIP").as_numpy_iterator())
    for record, row in zip(records, rows, strict=True):
        found = tf.train.Example.FromString(record).features.feature
        assert {*found} == {*row}
        for name, value in row.items():
            kind = found[name].WhichOneof("kind")
            np.testing.assert_array_equal(getattr(found[name], kind).value, np.atleast_1d(value), err_msg=name)
            assert kind == ("float_list" if name in ("price", "face") else "int64_list")
