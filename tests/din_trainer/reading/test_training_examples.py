"""What training reads from raw tf.Examples is what Transform's graph gives, for each kind of feature."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.features import FeatureConfig
from din_trainer.reading.training_examples import raw_example_reader
from tests.transforming import parse, to_example

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 3,
        "time_gap": True,
        "weight": "importance",
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "oov_buckets": 3},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "min_count": 2},
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
        },
        "user": {"user_id": {"dtype": "bytes"}, "age": {}},
        "context": {
            "device": {"dtype": "bytes", "oov_buckets": 5},
            "hour": {"kind": "numeric"},
            "price": {"kind": "numeric", "dtype": "float"},
        },
    }
)


def impression(rng, known):
    """A random impression. Without `known`, its values may be any; half of the optional values are missing, in each of their forms."""
    size = int(rng.integers(0, 6))
    most = 5 if known else 50
    return {
        "user_id": f"user {rng.integers(most)}",
        "age": rng.choice([None, -1, 20, 30, 40 + most]),
        "candidate_item_id": int(rng.integers(most)),
        "candidate_category_id": f"category {rng.integers(most)}",
        "historical_item_ids": rng.integers(0, most, size).tolist(),
        "historical_category_ids": [f"category {i}" for i in rng.integers(0, most, size)],
        "historical_timestamps": rng.integers(0, 10**6, size).tolist(),
        "cart_item_ids": rng.integers(0, most, int(rng.integers(0, 4))).tolist(),
        "timestamp": 10**6 + int(rng.integers(10**6)),
        "device": rng.choice([None, "", "phone", f"device {most}"]),
        "hour": rng.choice([None, int(rng.integers(24))]),
        "price": rng.choice([None, float("nan"), float("inf"), rng.normal() * 10]),
        "importance": float(rng.uniform()),
        "label": int(rng.integers(2)),
    }


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    rng = np.random.default_rng(0)
    return analyse([impression(rng, known=True) for _ in range(200)], FEATURES, tmp_path_factory.mktemp("transform"))


@pytest.mark.parametrize("seed", range(3))
def test_raw_examples_become_what_transform_makes_of_them(transform_output, seed):
    rng = np.random.default_rng(seed)
    rows = [impression(rng, known=False) for _ in range(500)]
    found = raw_example_reader(FEATURES, transform_output)(tf.constant([to_example(row) for row in rows]))
    expected = transform_output.transform_raw_features(parse(rows, FEATURES))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_required_value_that_is_missing_in_one_row_and_doubled_in_the_next_is_an_error(transform_output):
    """Two decoders would shift it by a row without a word."""
    rng = np.random.default_rng(0)
    first, second = (impression(rng, known=True) for _ in range(2))
    shifted = [to_example({**first, "candidate_item_id": None}), to_example({**second, "candidate_item_id": [3, 4]})]
    with pytest.raises(tf.errors.InvalidArgumentError, match="candidate_item_id"):
        raw_example_reader(FEATURES, transform_output)(tf.constant(shifted))
