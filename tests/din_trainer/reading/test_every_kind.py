"""Every kind of feature in every role: the reader, Transform's graph, tf.Examples and raw tensors agree."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_tensors import raw_tensor_spec
from din_trainer.reading.training_examples import raw_example_reader
from tests.din_trainer.reading.every_kind import CANDIDATES, FEATURES, NAN, impression, parsed, raw_tensors
from tests.transforming import as_tensors, parse, to_example


def impressions(count, seed, **settings):
    rng = np.random.default_rng(seed)
    return [impression(rng, known=False, **settings) for _ in range(count)]


def flat(inputs):
    """All tensors of `ModelInputs` by a name that says where they stand."""
    result = {("ids", name): x for name, x in inputs.ids.items()} | {("rows", name): x for name, x in inputs.rows.items()}
    result |= {("dense", name): x for name, x in inputs.dense.items()}
    for name, bag in inputs.bags.items():
        result |= {(part, name): x for part, x in bag._asdict().items() if x is not None}
    return result


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, x in expected.items():
        assert found[name].dtype == x.dtype
        np.testing.assert_array_equal(found[name], x, err_msg=str(name))


@pytest.mark.parametrize("seed", range(3))
def test_training_reads_what_transform_gives(every_kind_output, seed):
    rows = impressions(300, seed)
    found = raw_example_reader(FEATURES, every_kind_output)(tf.constant([to_example(row) for row in rows]))
    assert_equal(found, every_kind_output.transform_raw_features(parse(rows, FEATURES)))


@pytest.mark.parametrize("padded", [False, True])
def test_raw_tensors_are_read_as_tf_examples_are(every_kind_reader, padded):
    """Histories are longer than L, and there are more tags than are read; with `padded`, missing events stand anywhere."""
    rows = impressions(300, 5, padded=padded)
    assert_equal(flat(every_kind_reader.of_tensors(as_tensors(raw_tensors(rows)))), flat(every_kind_reader.of_parsed(parsed(rows))[0]))


def test_rank_reads_each_candidate_as_predict_does(every_kind_reader):
    """Three candidates an impression: candidate fields and tags are those of three impressions, all others are read once."""
    rows = impressions(60, 6, padded=True)
    users, repeated = rows[::3], [_with_candidate(rows[i - i % 3], row) for i, row in enumerate(rows)]
    of_users, of_all = raw_tensors(users), raw_tensors(repeated)
    tensors = {n: of_all[n].reshape(20, 3, *of_all[n].shape[1:]) if n in CANDIDATES else x for n, x in of_users.items()}
    ranked, single, once = (every_kind_reader.of_tensors(as_tensors(x)) for x in (tensors, of_all, of_users))
    for (part, name), x in flat(ranked).items():
        is_candidate = name in CANDIDATES or name == "brand_for_device"
        expected = flat(single if is_candidate else once)[part, name]
        if is_candidate and part in ("ids", "dense") and name not in ranked.bags:
            assert x.shape[:2] == (20, 3)
            x = tf.reshape(x, expected.shape)
        np.testing.assert_array_equal(x, expected, err_msg=name)


def _with_candidate(user, row):
    """An impression with the candidate of another one. What that candidate lacks stays lacking."""
    return {n: x for n, x in user.items() if n not in CANDIDATES} | {n: x for n, x in row.items() if n in CANDIDATES}


def test_an_impression_alone_is_read_as_among_others(every_kind_reader):
    rows = impressions(40, 7)
    together = every_kind_reader.transformed(parsed(rows))
    for i in range(0, 40, 8):
        assert_equal(every_kind_reader.transformed(parsed(rows[i : i + 1])), {name: x[i : i + 1] for name, x in together.items()})


def test_no_impressions(every_kind_reader):
    outputs = every_kind_reader.transformed(tf.io.parse_example(tf.constant([], tf.string), example_spec(FEATURES)))
    assert {name: x.shape[0] for name, x in outputs.items()} == dict.fromkeys(outputs, 0)
    assert outputs["notes"].shape == (0, 3, 2) and outputs["image"].shape == (0, 3)


FULL = {
    "user_id": "text 1", "age": 14, "interests": ["", "text 1", "text 2", "text 3", "text 4"],
    "interest_weights": [9.0, 1.0, NAN, 3.0, 4.0],
    "taste": [1.5, NAN], "device": "phone", "visits": 5, "city": 3, "hour": 7, "spent": -100.0, "words": [1, -1, 2, 3],
    "candidate_item_id": 1, "candidate_category_id": "text 1", "price": 1.0, "brand": "text 2", "genres": [1], "genre_weights": [0.5],
    "image": [1.0, 2.0, 3.0], "seller": 4, "discount": 0.1,
    "historical_item_ids": [1, 2, 3, 4], "historical_category_ids": ["text 1", "", "text 2", "text 3"],
    "historical_timestamps": [0, 10, 20, 30], "paid": [1.0, NAN, 3.0, 4.0], "pieces": [-2, 3, 8, 9],
    "action": ["text 1"] * 4, "shop": [1, 2, -1, 3], "dwell": [0.0, 9.0, NAN, -9.0], "picture": [0.0, 0.0, 1.0, 2.0, NAN, NAN, 5.0, 6.0],
    "note_counts": [1, 2, 0, 3], "notes": ["text 1", "text 2", "", "text 1", "text 2", "text 3"],
    "note_weights": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "cart_item_ids": [], "cart_times": [], "options": [], "option_counts": [], "timestamp": 10**6,
}  # fmt: skip
BARE = {"user_id": "text 1", "candidate_item_id": 1, "candidate_category_id": "text 1", "timestamp": 10**6}


def test_values_by_hand(every_kind_reader, every_kind_output):
    """What needs no statistics: places of tags and weights, buckets with given boundaries, vectors, and what is missing.

    The last three of four events are read, the first two of at most three tags each.
    """
    out = {name: x.numpy() for name, x in every_kind_reader.transformed(parsed([FULL, BARE])).items()}
    known = [value.decode() for value in every_kind_output.vocabulary_by_name("interests")]
    assert out["interests"].tolist() == [[1 + known.index(f"text {i}") for i in (1, 2, 3)], [0, 0, 0]]
    assert out["interest_weights"].tolist() == [[1, 0, 3], [0, 0, 0]]  # NaN weighs nothing
    assert out["discount"].tolist() == [3, 5]  # 0.1 is in the bucket above its boundary; the last row is for missing numbers
    assert out["taste"].tolist() == [[1.5, 0], [0, 0]] and out["image"].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert out["picture"].tolist() == [[[1, 2], [0, 0], [5, 6]], [[0, 0]] * 3]
    assert out["note_weights"].tolist() == [[[2, 0], [0, 0], [4, 5]], [[0, 0]] * 3]
    assert (out["notes"] > 0).tolist() == [[[True, False], [False, False], [True, True]], [[False, False]] * 3]
    assert out["paid"][0, :, 1].tolist() == [1, 0, 0] and out["price"].tolist()[1] == [0, 1] and out["visits"][1].tolist() == [0.5, 1]
    assert out["shop"][0, 1] == 6 and out["shop"][1].tolist() == [0, 0, 0]  # −1 in the row after the five buckets
    np.testing.assert_allclose(out["pieces"], [[0.5, 1, 1], [0, 0, 0]])  # from −2 to 8 in the training data
    assert out["device"].tolist() == [1 + int(tf.strings.to_hash_bucket_fast("phone", 5)), 6]
    assert out["age_city"][0] == 1 + int(tf.strings.to_hash_bucket_fast(f"{out['age'][0]}\x1f3", 7))
    assert out["age_city"][1] == 1 + int(tf.strings.to_hash_bucket_fast("5\x1f", 7))  # the fifth row of `age` is for missing numbers


WRONG = {
    "taste": ([1.0], "each vector of taste must have 2 floats, or none"),
    "image": ([1.0] * 6, "each vector of image must have 3 floats, or none"),
    "picture": ([1.0] * 7, "each vector of picture must have 2 floats, in each event"),
    "note_counts": ([1, 2, 0, 2], "must add up to the values that each impression has of notes"),
    "notes": (["text 1"] * 5, "must add up to the values that each impression has of notes"),
    "note_weights": ([1.0] * 7, "must add up to the values that each impression has of note_weights"),
    "interest_weights": ([1.0] * 4, "tags need as many weights"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_numbers_of_values_are_refused(every_kind_reader, name):
    """They would shift the values of the impressions that follow."""
    value, message = WRONG[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        every_kind_reader.of_parsed(parsed([BARE, {**FULL, name: value}, FULL]))


@pytest.mark.parametrize("counts", [[2**62] * 4, [-1, 7, 0, 0], [2**63 - 1, 1, 0, 0], [6, -(2**63), 0, 0], [6, 0, 0, 0, 0, -6, 6]], ids=str)
def test_hostile_lengths_are_refused(every_kind_reader, counts):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must add up"):
        every_kind_reader.of_parsed(parsed([{**FULL, "note_counts": counts}, FULL]))


SHORTER = {
    "paid": ([1.0, NAN], [1.0, NAN, NAN, NAN]),
    "picture": ([0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0, NAN, NAN, NAN, NAN]),
    "shop": ([1, 2, 3, 4, 5], [1, 2, 3, 4]),
    "historical_timestamps": ([0], [0, -1, -1, -1]),
    "action": ([], ["", "", "", ""]),
}


@pytest.mark.parametrize("name", SHORTER)
def test_fields_of_other_lengths_than_their_history_stay_in_their_impression(every_kind_reader, name):
    """An event that has no value of a field lacks it, and what is beyond the events is not read."""
    other, as_long = SHORTER[name]
    found = every_kind_reader.transformed(parsed([{**FULL, name: other}, FULL, BARE]))
    assert_equal(found, every_kind_reader.transformed(parsed([{**FULL, name: as_long}, FULL, BARE])))


def test_tags_of_events_without_lengths_are_read_up_to_the_last_one(every_kind_reader):
    row = {**FULL, "note_counts": [1, 2], "notes": FULL["notes"][:3], "note_weights": FULL["note_weights"][:3]}
    whole = {**row, "note_counts": [1, 2, 0, 0]}
    assert_equal(every_kind_reader.transformed(parsed([row, FULL])), every_kind_reader.transformed(parsed([whole, FULL])))


@pytest.mark.parametrize(
    "gone",
    [["taste"], ["image"], ["age"], ["paid"], ["picture"], ["interests", "interest_weights"], ["notes", "note_counts", "note_weights"]],
    ids=" ".join,
)
def test_an_empty_list_is_what_absence_is(every_kind_reader, gone):
    absent = {key: value for key, value in FULL.items() if key not in gone}
    example = tf.train.Example.FromString(to_example(absent))
    for key in gone:
        column = next(column for column in FEATURES.columns if column.name == key)
        getattr(example.features.feature[key], f"{column.dtype}_list").SetInParent()
    emptied = tf.io.parse_example([example.SerializeToString(), to_example(FULL)], example_spec(FEATURES))
    assert_equal(every_kind_reader.transformed(emptied), every_kind_reader.transformed(parsed([absent, FULL])))


def test_kept_columns_are_not_asked_for():
    """Neither requests nor signatures have what the model does not read: positions, further labels, weights, `embed = false`."""
    kept = {"ignored", "slot", "purchase", "label", "importance", "weight"}
    assert not kept & set(example_spec(FEATURES)) and not kept & set(raw_tensor_spec(FEATURES, candidates=True))
    assert not {"note_counts", "option_counts"} & set(raw_tensor_spec(FEATURES))


def test_shapes_of_raw_tensors():
    shapes = {name: spec.shape.as_list() for name, spec in raw_tensor_spec(FEATURES).items()}
    ranked = {name: spec.shape.as_list() for name, spec in raw_tensor_spec(FEATURES, candidates=True).items()}
    assert {name: shapes[name] for name in ("age", "interests", "taste", "image", "price", "genre_weights")} == {
        "age": [None], "interests": [None, None], "taste": [None, 2], "image": [None, 3], "price": [None], "genre_weights": [None, None]
    }  # fmt: skip
    assert {name: shapes[name] for name in ("paid", "notes", "note_weights", "picture")} == {
        "paid": [None, None], "notes": [None, None, None], "note_weights": [None, None, None], "picture": [None, None, 2]
    }  # fmt: skip
    assert {name for name in shapes if shapes[name] != ranked[name]} == set(CANDIDATES)
    assert ranked["price"] == [None, None] and ranked["image"] == [None, None, 3] and ranked["genres"] == [None, None, None]
    types = {name: spec.dtype for name, spec in raw_tensor_spec(FEATURES).items()}
    assert types["visits"] == tf.float64 and types["pieces"] == tf.float64 and types["age"] == tf.float64  # int64, with NaN
    assert types["price"] == tf.float32 and types["image"] == tf.float32 and types["seller"] == tf.int64
