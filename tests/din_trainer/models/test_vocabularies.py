"""Vocabularies and scales made from columns in memory; ids and numbers by hand."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.models.checked_data import check_features
from din_trainer.models.columns_read import raw_columns
from din_trainer.models.make_model import make_model
from din_trainer.models.vocabularies import Vocabularies
from din_trainer.training.compile_model import compile_model

CONFIG = DINConfig.model_validate(
    {
        "features": {
            "history_length": 2,
            "time_gap": True,
            "behaviours": {
                "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes", "min_count": 2},
                "shop": {"candidate": "candidate_shop", "history": "historical_shops", "oov_buckets": 2},
            },
            "context": {"city": {"dtype": "bytes"}, "price": {"kind": "numeric", "dtype": "float"}},
        },
        "model": {"hidden": [8], "attention_hidden": [8], "embedding_scale": 1.0},
    }
)
HOUR = 3600
FRAME = pd.DataFrame(
    {
        "user_id": [7, 7, 9, 5],
        "candidate_item_id": ["b", "a", "a", "rare"],
        "historical_item_ids": [["a", "b", "a"], [], ["b"], None],
        "candidate_shop": [1, 1, 2, 3],
        "historical_shops": [[1, 2, 2], [], [2], None],
        "timestamp": [10 * HOUR, 5, 20 * HOUR, 5],
        "historical_timestamps": [[7 * HOUR, 8 * HOUR, 9 * HOUR], [], [5 * HOUR], None],
        "city": ["Wien", None, "Wien", "Paris"],
        "price": [10.0, np.nan, 20.0, 60.0],
        "label": [1, 0, 1, 0],
    }
)


def ids_of(vocabularies, frame):
    raw = check_features(frame, raw_columns(CONFIG.features, history=True))
    return {name: np.asarray(x) for name, x in vocabularies({name: tf.constant(x) for name, x in raw.items()}).items()}


@pytest.fixture(scope="module")
def vocabularies():
    return Vocabularies.fit(CONFIG.features, FRAME)


def test_the_most_frequent_values_have_the_lowest_ids(vocabularies):
    """a occurs 4 times, b 3 times, `rare` once, which is too seldom. Shop 2: 4 times, shop 1: 3 times."""
    assert vocabularies.known == {"item": ["a", "b"], "shop": [2, 1, 3], "user_id": [7, 5, 9], "city": ["Wien", "Paris"]}
    assert vocabularies.sizes() == {"item": 4, "shop": 6, "user_id": 5, "city": 4}  # padding, known values, buckets


def test_ids_and_numbers_by_hand(vocabularies):
    ids = ids_of(vocabularies, FRAME)
    assert ids["candidate_item_id"].tolist() == [2, 1, 1, 3]
    assert ids["historical_item_ids"].tolist() == [[2, 1], [0, 0], [2, 0], [0, 0]]  # the last two events
    assert ids["candidate_shop"].tolist() == [2, 2, 1, 3]
    assert ids["historical_shops"].tolist() == [[1, 1], [0, 0], [1, 0], [0, 0]]
    assert ids["user_id"].tolist() == [1, 1, 3, 2]
    assert ids["city"].tolist() == [1, 3, 1, 2]  # a missing one is out of vocabulary
    mean, deviation = 30.0, np.std([10.0, 20.0, 60.0])
    np.testing.assert_allclose(ids["price"], [-20 / deviation, 0, -10 / deviation, 30 / deviation], rtol=1e-6)
    gaps = np.log1p([3, 2, 1, 15])
    scaled = (gaps - gaps.mean()) / gaps.std()
    np.testing.assert_allclose(ids["historical_time_gaps"][0], scaled[1:3], rtol=1e-5)
    np.testing.assert_allclose(ids["historical_time_gaps"][2, 0], scaled[3], rtol=1e-5)
    assert mean == vocabularies.statistics["price"]["mean"]


def test_unknown_values_fall_into_the_buckets(vocabularies):
    new = FRAME.assign(candidate_item_id="new", candidate_shop=[90, 91, 92, 93], user_id=1)
    ids = ids_of(vocabularies, new)
    assert ids["candidate_item_id"].tolist() == [3] * 4 and ids["user_id"].tolist() == [4] * 4
    assert set(ids["candidate_shop"].tolist()) == {4, 5}


def test_raw_values_in_and_probabilities_out(vocabularies, tmp_path):
    """A model with vocabularies gives the scores of one that reads their ids, and keeps them when saved and exported."""
    model = make_model(CONFIG, vocabularies)
    compile_model(model)
    model.fit(FRAME, FRAME["label"], verbose=0)
    scores = model.predict(FRAME, verbose=0)
    plain = make_model(CONFIG, vocabularies.sizes())
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(plain.predict(ids_of(vocabularies, FRAME), verbose=0), scores, atol=1e-6)

    model.save(tmp_path / "din.keras")
    reloaded = keras.models.load_model(tmp_path / "din.keras")
    np.testing.assert_allclose(reloaded.predict(FRAME, verbose=0), scores, atol=1e-6)
    reloaded.export(tmp_path / "model")
    served = tf.saved_model.load(str(tmp_path / "model"))
    raw = {
        "user_id": [7, 7, 9, 5],
        "candidate_item_id": ["b", "a", "a", "rare"],
        "historical_item_ids": [["a", "b", "a"], ["", "", ""], ["b", "", ""], ["", "", ""]],
        "candidate_shop": [1, 1, 2, 3],
        "historical_shops": [[1, 2, 2], [-1, -1, -1], [2, -1, -1], [-1, -1, -1]],
        "timestamp": FRAME["timestamp"].tolist(),
        "historical_timestamps": [[7 * HOUR, 8 * HOUR, 9 * HOUR], [-1] * 3, [5 * HOUR, -1, -1], [-1] * 3],
        "city": ["Wien", "", "Wien", "Paris"],
        "price": [10.0, np.nan, 20.0, 60.0],
    }
    tensors = {name: tf.constant(x, tf.int64) if np.asarray(x).dtype.kind == "i" else tf.constant(x) for name, x in raw.items()}
    np.testing.assert_allclose(served.serve(tensors), scores, atol=1e-6)
    np.testing.assert_allclose(model.predict(raw, verbose=0), scores, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"candidate_item_id": ["a", None, "b", "c"]}, "candidate_item_id has no value in row 1: leave such rows out"),
        ({"candidate_item_id": ["a", "", "b", "c"]}, "candidate_item_id has no value in row 1: leave such rows out"),
        ({"user_id": [7, -1, 9, 5]}, "user_id has no value in row 1"),
        ({"user_id": [7, -2, 9, 5]}, "user_id is -2 in row 1, but its ids are 0 or more"),
        ({"candidate_item_id": [1, 2, 3, 4]}, "candidate_item_id: 1 in row 0 is not text: set dtype = 'int64'"),
        ({"historical_shops": [[1], [], [2], None]}, "historical_shops and historical_item_ids have events at different places in row 0"),
        ({"city": [None] * 4}, "the vocabulary of city is empty"),
        ({"price": [None] * 4}, "price has no value in any row"),
        ({"candidate_item_id": ["p", "q", "r", "s"], "historical_item_ids": [["t", "u", "v"], [], ["w"], None]}, "the vocabulary of item"),
    ],
)
def test_wrong_raw_values_end_in_a_sentence_that_names_them(changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        Vocabularies.fit(CONFIG.features, {**{name: FRAME[name] for name in FRAME}, **changes})


def test_zeros_that_may_be_padding_are_said():
    with pytest.warns(UserWarning, match="^historical_shops holds the id 0, which candidate_shop never has: if it pads"):
        Vocabularies.fit(CONFIG.features, {**FRAME, "historical_shops": [[1, 2, 0], [], [2], None]})
