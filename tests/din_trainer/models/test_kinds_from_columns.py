"""Features of all kinds in all roles from columns in memory: ids and numbers by hand, and a model that is trained, saved and exported."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.models.checked_data import check_features
from din_trainer.models.columns_read import id_columns, raw_columns
from din_trainer.models.make_model import make_model
from din_trainer.models.vocabularies import Vocabularies
from din_trainer.training.compile_model import compile_model

NAN = float("nan")
HOUR = 3600
SETTINGS = {
    "features": {
        "history_length": 2,
        "behaviours": {"item": {"candidate": "item", "history": "items", "dtype": "bytes", "dim": 4}},
        "user": {
            "user_id": {"embed": False},
            "likes": {"kind": "tags", "dtype": "bytes", "weights": "like_weights", "combine": "sqrtn", "most": 2, "dim": 3},
            "age": {"kind": "bucketized", "boundaries": [18, 65], "dim": 3},
        },
        "context": {
            "device": {"kind": "hashed", "dtype": "bytes", "buckets": 5, "dim": 3},
            "hour": {"kind": "numeric", "scale": "minmax", "indicator": True},
            "spent": {"kind": "numeric", "dtype": "float", "scale": "log", "clip": [0, 100]},
            "city": {"dtype": "bytes", "dim": 3},
        },
        "candidate": {
            "price": {"kind": "numeric", "dtype": "float"},
            "rank_of_price": {"kind": "numeric", "dtype": "float", "scale": "quantile"},
            "price_part": {"kind": "bucketized", "dtype": "float", "buckets": 2, "dim": 3},
            "image": {"kind": "vector", "size": 2, "units": 3},
            "age_and_item": {"kind": "cross", "of": ["age", "item"], "dim": 3},
            "hashed_cross": {"kind": "cross", "of": ["item", "city"], "buckets": 7, "dim": 3},
        },
        "events": {
            "clicks": {
                "prices": {"kind": "numeric", "dtype": "float"},
                "tags": {"kind": "tags", "lengths": "tag_counts", "most": 2, "dim": 3},
                "images": {"kind": "vector", "size": 2},
                "shops": {"dim": 3},
                "times": {"kind": "time_gap"},
            }
        },
        "position": {"place": {"positions": 3, "serving": 1}},
        "labels": ["click", "purchase"],
    },
    "model": {"hidden": [8], "attention_hidden": [8], "embedding_scale": 1.0},
}
CONFIG = DINConfig.model_validate(SETTINGS)
FRAME = pd.DataFrame(
    {
        "likes": [["jazz", "rock", "jazz"], [], ["", "rock"], None],
        "like_weights": [[2.0, 1.0, 1.0], [], [5.0, 0.5], None],
        "age": [17, 18, None, 70],
        "device": ["phone", "", "desk", None],
        "hour": [0, 12, None, 6],
        "spent": [np.e - 1, 1e6, -5.0, None],
        "city": ["Wien", "Wien", None, "Rom"],
        "item": ["a", "b", "a", "a"],
        "price": [10.0, NAN, 20.0, 60.0],
        "rank_of_price": [10.0, NAN, 20.0, 60.0],
        "price_part": [10.0, NAN, 20.0, 60.0],
        "image": [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]],
        "items": [["b", "a", "b"], [], ["a"], ["b"]],
        "prices": [[1.0, None, 3.0], [], [2.0], [NAN]],
        "tags": [[[1], [2, 2, 1], []], [], [[-1, 3]], [[2]]],
        "images": [[[1, 1], [2, 2], None], [], [[3, 3]], [[4, 4]]],
        "shops": [[5, 5, 6], [], [-1], [5]],
        "times": [[8 * HOUR, 9 * HOUR, 7 * HOUR], [], [9 * HOUR], [-1]],
        "timestamp": [10 * HOUR] * 4,
        "place": [0, 5, -1, 2],
    }
)
LABELS = {"click": [1, 0, 1, 0], "purchase": [0, 0, 1, 0]}


@pytest.fixture(scope="module")
def vocabularies():
    return Vocabularies.fit(CONFIG.features, FRAME)


@pytest.fixture(scope="module")
def read(vocabularies):
    raw = check_features(FRAME, raw_columns(CONFIG.features, history=True), training=True)
    return {name: np.asarray(x) for name, x in vocabularies({name: tf.constant(x) for name, x in raw.items()}).items()}


def test_vocabularies_count_tags_events_and_crosses(vocabularies):
    """An empty tag, -1, and a cross without a value are nothing: the buckets of `age` are 1, 2, 4 (missing) and 3."""
    assert vocabularies.known == {
        "item": ["a", "b"],  # 5 and 4 times
        "likes": ["jazz", "rock"],
        "city": ["Wien", "Rom"],
        "age_and_item": ["1\x1fa", "2\x1fb", "3\x1fa", "4\x1fa"],
        "tags": [2, 1, 3],
        "shops": [5, 6],
    }
    assert vocabularies.statistics["hour"] == {"low": 0.0, "high": 12.0}
    assert vocabularies.statistics["price_part"] == {"quantiles": [20.0]}


def test_single_values_by_hand(read):
    assert read["item"].tolist() == [1, 2, 1, 1]
    assert read["age"].tolist() == [1, 2, 4, 3]  # at a boundary: the bucket above
    assert read["city"].tolist() == [1, 1, 3, 2]
    assert read["price_part"].tolist() == [1, 3, 2, 2]
    assert read["age_and_item"].tolist() == [1, 2, 4, 3]
    farm = [1 + int(tf.strings.to_hash_bucket_fast(text, 5)) for text in ("phone", "desk")]
    assert read["device"].tolist() == [farm[0], 6, farm[1], 6]
    crossed = [1 + int(tf.strings.to_hash_bucket_fast(text, 7)) for text in ("a\x1fWien", "b\x1fWien", "a\x1f", "a\x1fRom")]
    assert read["hashed_cross"].tolist() == crossed
    assert read["place"].tolist() == [1, 3, 2, 3]  # 5 is beyond the last; a missing one is that of serving


def test_numbers_by_hand(read):
    np.testing.assert_allclose(read["hour"], [[0, 0], [1, 0], [0, 1], [0.5, 0]])
    logs = np.log1p([np.e - 1, 100, 0])  # clipped first
    np.testing.assert_allclose(read["spent"], [*(logs - logs.mean()) / logs.std(), 0], rtol=1e-5)
    prices = np.array([10.0, 20.0, 60.0])
    np.testing.assert_allclose(read["price"][[0, 2, 3]], (prices - 30) / prices.std(), rtol=1e-6)
    assert read["price"][1] == 0
    # Of the 99 quantiles a third are 10, a third 20, a third 60; a number is at the last that it reaches.
    np.testing.assert_allclose(read["rank_of_price"], [32 / 98, 0.5, 65 / 98, 1], rtol=1e-6)
    assert read["image"].tolist() == [[1, 2], [0, 0], [3, 4], [5, 6]]


def test_tags_by_hand(read):
    """The first two that are not missing, with the weights that stand beside them."""
    assert read["likes"].tolist() == [[1, 2], [0, 0], [2, 0], [0, 0]]
    assert read["like_weights"].tolist() == [[2, 1], [0, 0], [0.5, 0], [0, 0]]


def test_events_by_hand(read):
    """The last two events, from the left, with the fields that stand beside them."""
    assert read["items"].tolist() == [[1, 2], [0, 0], [1, 0], [2, 0]]
    assert read["shops"].tolist() == [[1, 2], [0, 0], [3, 0], [1, 0]]
    assert read["tags"].tolist() == [[[1, 1], [0, 0]], [[0, 0], [0, 0]], [[3, 0], [0, 0]], [[1, 0], [0, 0]]]
    assert read["images"].tolist() == [[[2, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 3], [0, 0]], [[4, 4], [0, 0]]]
    deviation = np.std([1, 3, 2])
    np.testing.assert_allclose(read["prices"], [[0, 1 / deviation], [0, 0], [0, 0], [0, 0]], atol=1e-6)  # a missing one is the mean
    gaps = np.log1p([2, 1, 3, 1])
    scaled = (gaps - gaps.mean()) / gaps.std()
    np.testing.assert_allclose(read["times_gap"], [[scaled[1], scaled[2]], [0, 0], [scaled[3], 0], [0, 0]], rtol=1e-5)


def without(*names):
    return FRAME.drop(columns=list(names))


@pytest.fixture(scope="module")
def model(vocabularies):
    model = make_model(CONFIG, vocabularies)
    compile_model(model)
    model.fit(FRAME, LABELS, verbose=0)
    return model


def test_a_model_of_all_kinds_is_trained_saved_loaded_and_exported(model, vocabularies, read, tmp_path):
    scores = model.predict(without("place"), verbose=0)
    assert scores.shape == (4, 2) and np.ptp(scores[:, 0]) > 0
    plain = make_model(CONFIG, vocabularies.sizes())
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(plain.predict(read, verbose=0), scores, atol=1e-6)

    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras").predict(FRAME, verbose=0), scores, atol=1e-6)
    model.export(tmp_path / "model")
    raw = check_features(FRAME, raw_columns(CONFIG.features, history=True))
    served = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(served.serve({name: tf.constant(x) for name, x in raw.items()}), scores, atol=1e-6)


def test_a_position_is_read_in_training_alone(model):
    with pytest.raises(ValueError, match=r"^the data has no place"):
        model.fit(without("place"), LABELS, verbose=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*does not read.*")
        scores = model.predict(FRAME, verbose=0)
    assert (model.predict(FRAME.assign(place=2), verbose=0) == scores).all()
    dataset = tf.data.Dataset.from_tensors({**check_features(FRAME, raw_columns(CONFIG.features, history=True), training=True)})
    assert (model.predict(dataset, verbose=0) == scores).all()


def test_arrays_lists_and_ragged_tensors_of_events_are_the_same(vocabularies):
    columns = raw_columns(CONFIG.features, history=True)
    arrays = check_features(FRAME, columns)
    ragged = {"tags": tf.ragged.constant([[[1], [2, 2, 1], []], [], [[-1, 3]], [[2]]], dtype=tf.int64, ragged_rank=2)}
    ragged["images"] = tf.RaggedTensor.from_row_lengths(tf.constant([[1, 1], [2, 2], [NAN, NAN], [3, 3], [4, 4]]), [3, 0, 1, 1])
    for given in (
        ragged,
        {"tags": arrays["tags"], "images": arrays["images"], "likes": arrays["likes"], "like_weights": arrays["like_weights"]},
    ):
        again = check_features({**{name: FRAME[name] for name in FRAME}, **given}, columns)
        for name in given:
            np.testing.assert_array_equal(again[name], arrays[name])


def changed(**columns):
    return {**{name: FRAME[name] for name in FRAME}, **columns}


WRONG = {
    "likes: 'jazz' in row 0 is not a list of tags": {"likes": ["jazz", [], [], []]},
    "likes: 7 in row 1 is not text": {"likes": [["a", "b", "c"], [7], [], []], "like_weights": [[1, 1, 1], [1], [], []]},
    "like_weights has 2 values in row 2 where likes has 1, but each tag has a weight": {
        "likes": [[], [], ["a"], []],
        "like_weights": [[], [], [1, 2], []],
    },
    "image has 3 floats in row 1, but its size is 2": {"image": [[1, 2], [1, 2, 3], None, [1, 2]]},
    "image has 3 floats in row 0, but its size is 2 ": {"image": np.zeros((4, 3))},
    r"image has the shape \(4,\) where floats for each row belong": {"image": np.zeros(4)},
    "image: inf in row 0 is not a finite number": {"image": [[1, np.inf], None, None, None]},
    "images has 1 floats in row 3, but its size is 2": {"images": [[[1, 1], [2, 2], None], [], [[3, 3]], [[4]]]},
    "images: 3 in row 2 is not a list of floats": {"images": [[[1, 1], [2, 2], None], [], [3], [[4, 4]]]},
    r"tags has the shape \(4, 3\) where tags for each of the events of each row belong": {"tags": np.zeros((4, 3), int)},
    "tags: 1.5 in row 3 is not a whole number": {"tags": [[[1], [2], []], [], [[3]], [[1.5]]]},
    "tags is -2 in row 3": {"tags": [[[1], [2], []], [], [[3]], [[-2]]]},
    "prices and items have events at different places in row 1": {"prices": [[1.0, 2.0, 3.0], [4.0], [2.0], [1.0]]},
    "tags and items have events at different places in row 1": {"tags": [[[1], [2], []], [[4]], [[3]], [[1]]]},
    "images and items have events at different places in row 1": {"images": [[[1, 1], [2, 2], None], [[3, 3]], [[3, 3]], [[4, 4]]]},
    "price: 'dear' in row 0 is not a number": {"price": ["dear", 1, 2, 3]},
    "age: 'old' in row 0 is not a number": {"age": ["old", 1, 2, 3]},
    "item has no value in row 1": {"item": ["a", "", "b", "c"]},
    "price has no value in any row": {"price": [None] * 4},
    "price_part has no value in any row": {"price_part": [None] * 4},
    "the vocabulary of likes is empty": {"likes": [[]] * 4, "like_weights": [[]] * 4},
    "the data has no like_weights": {"like_weights": None},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_columns_end_in_a_sentence_that_names_the_feature(sentence):
    data = {name: column for name, column in changed(**WRONG[sentence]).items() if column is not None}
    with pytest.raises(ValueError, match=f"^{sentence.strip()}"):
        Vocabularies.fit(CONFIG.features, data)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("price", "price has no value in 1 of 4 rows, which count as the mean"),
        ("rank_of_price", "rank_of_price has no value in 1 of 4 rows, which count as the median"),
        ("hour", "hour has no value in 1 of 4 rows, which count as the lowest"),
        ("age", "age has no value in 1 of 4 rows, which count as a bucket of their own"),
        ("device", "device has no value in 2 of 4 rows, which count as one value of their own"),
        ("image", "image has no value in 1 of 4 rows, which count as zeros"),
        ("city", "city has no value in 1 of 4 rows, which count as out of vocabulary"),
        ("prices", "prices has no value in 2 of 5 events, which count as the mean"),
        ("shops", "shops has no value in 1 of 5 events, which count as out of vocabulary"),
        ("images", "images has no value in 1 of 5 events, which count as zeros"),
        ("times", "times has no value in 1 of 5 events, which count as the mean"),
        ("place", "place has no value in 1 of 4 rows, which count as position 1"),
    ],
)
def test_missing_values_are_said(name, says):
    with pytest.warns(UserWarning) as warned:
        check_features(FRAME, raw_columns(CONFIG.features, history=True), training=True)
    assert says in [str(warning.message) for warning in warned if str(warning.message).startswith(f"{name} ")]


def test_a_table_of_lookups_is_for_the_pipeline():
    settings = {
        "candidate": {"brand": {"lookup": "items"}},
        "lookups": {"items": {"table": "items.csv", "key": "id", "of": "candidate_item_id"}},
    }
    features = DINConfig.model_validate({"features": settings}).features
    with pytest.raises(ValueError, match=r"^brand has a lookup, which only the pipeline joins: join the table with pandas"):
        Vocabularies.fit(features, FRAME)


def test_ids_of_every_kind_have_bounds():
    sizes = {"item": 4, "likes": 5, "city": 6, "age_and_item": 7, "tags": 8, "shops": 9}
    columns = {column.name: column for column in id_columns(CONFIG.features, sizes, history=True)}
    assert {name: (c.least, c.most) for name, c in columns.items() if c.dtype == "int64"} == {
        "item": (1, 3),
        "items": (0, 3),
        "likes": (0, 4),
        "age": (0, 4),  # three buckets and the missing ones
        "age_and_item": (0, 6),
        "price_part": (0, 3),
        "hashed_cross": (0, 7),
        "device": (0, 6),
        "city": (0, 5),
        "tags": (0, 7),
        "shops": (0, 8),
        "place": (1, 3),
    }
    assert {name: (c.spec().shape.as_list(), c.missing) for name, c in columns.items() if c.dtype == "float"} == {
        "like_weights": ([None, None], 0),
        "hour": ([None, 2], 0),
        "spent": ([None], 0),
        "price": ([None], 0),
        "rank_of_price": ([None], 0.5),
        "image": ([None, 2], 0),
        "prices": ([None, None], 0),
        "images": ([None, None, 2], 0),
        "times_gap": ([None, None], 0),
    }
    assert (columns["age"].missing, columns["device"].missing, columns["city"].missing) == (4, 6, 5)
