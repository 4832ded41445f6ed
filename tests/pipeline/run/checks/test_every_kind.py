"""The check of a data set knows every kind of feature: what is refused, and what is counted because Transform cuts or guesses it."""

import numpy as np
import pytest

from components.base.errors import InputError
from pipeline.run.checks import check_impressions
from pipeline.run.checks.check_impressions import check_data
from pipeline.run.checks.cut_values import cut_notes
from tests.components.serving.model.every_kind import EXAMPLE, FEATURES, NAN
from tests.sample_data import write_dataset

KEPT = {"user_id": [7], "position": [1], "weight": [1.0], "purchase": [0], "label": [1], "timestamp": [50]}
OTHER = {**EXAMPLE, **KEPT, "image": [0.5, 1.0], "label": [0], "purchase": [1]}  # has a value of every feature


def columns(*rows):
    """Impressions in the form of tf.Examples, as columns; each change of a row stands on sound data."""
    return {name: [row.get(name, []) for row in rows] for name in OTHER if any(row.get(name) for row in rows)}


def write(folder, **changes):
    return write_dataset(folder, dict.fromkeys(("train", "validation", "eval"), columns({**EXAMPLE, **KEPT, **changes}, OTHER)))


def refused(data, features=FEATURES):
    with pytest.raises(InputError) as error:
        check_data(data, features)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(params=[False, True], ids=["small", "large"])
def any_size(request, monkeypatch):
    """Large shards are read by another parser."""
    if request.param:
        monkeypatch.setattr(check_impressions, "_LARGE", 1)


def test_sound_data_of_every_kind(tmp_path, any_size):
    facts = check_data(write(tmp_path / "d"), FEATURES)
    assert facts.examples == {"train": 2, "validation": 2, "eval": 2} and facts.cut == {}


REFUSED = [
    ({"face": [1.0]}, "feature 'face' must have exactly 2 numbers, or none."),
    ({"face": [1.0, NAN]}, "a vector of 'face' has missing numbers (NaN) and others: write all of its numbers, or none."),
    ({"face": [1.0, float("inf")]}, "feature 'face' is inf: leave it out, or write NaN"),
    ({"interests": [b"a", b"b\n"]}, r"feature 'interests' holds b'b\n': ids with a line end or NUL fit in no vocabulary"),
    ({"interests": [b"a", b"\xff"]}, r"feature 'interests' holds b'\xff', which is not UTF-8"),
    ({"interest_weights": [1.0]}, "'interest_weights' and 'interests' differ in length: each value needs a weight."),
    ({"interest_weights": []}, "'interest_weights' and 'interests' differ in length: each value needs a weight."),
    ({"interest_weights": [1.0, NAN]}, "feature 'interest_weights' is nan, but each value of 'interests' needs a weight: write a number."),
    ({"genres": [4, -2]}, "feature 'genres' holds a negative id (-2): ids must be 0 or more."),
    ({"price": [1.0, 2.0]}, "feature 'price' must have at most one value."),
    ({"brand": [b"a\0"]}, r"feature 'brand' holds b'a\x00': ids with a line end or NUL"),
    ({"historical_prices": [1.0]}, "'historical_prices' and 'historical_item_ids' differ in length"),
    ({"historical_actions": []}, "'historical_actions' and 'historical_item_ids' differ in length"),
    ({"historical_images": [1.0, 2.0]}, "'historical_images' must have 2 numbers for each event of 'historical_item_ids'"),
    ({"historical_images": [1.0, NAN, 1.0, 2.0]}, "a vector of 'historical_images' has missing numbers (NaN) and others"),
    ({"historical_word_counts": [2]}, "'historical_word_counts' and 'historical_item_ids' differ in length: it needs"),
    ({"historical_word_counts": [1, 0]}, "the numbers in 'historical_word_counts' do not sum to the number of values of"),
    ({"historical_word_counts": [3, -1]}, "feature 'historical_word_counts' holds -1: a number of values is 0 or more."),
    ({"historical_word_weights": [1.0]}, "'historical_word_weights' and 'historical_words' differ in length: each value needs a weight."),
    ({"position": [-2]}, "feature 'position' holds the position -2: positions are 0 or more."),
    ({"purchase": [2]}, "the label 'purchase' must be 0 or 1."),
    ({"purchase": []}, "feature 'purchase' must have exactly one value."),
    ({"user_id": [-1]}, "feature 'user_id' is -1, which means that it is missing"),
    ({"weight": [NAN]}, "the weight 'weight' must be a number, 0 or more."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[str(change) for change, _ in REFUSED])
def test_what_is_refused_names_file_impression_and_feature(tmp_path, any_size, change, sentence):
    data = write(tmp_path / "d", **change)
    assert refused(data).startswith(f"{data / 'train' / 'part-00000.tfrecord.gz'}, impression 1: {sentence}")


def test_another_type_of_lengths_is_refused(tmp_path):
    assert "feature 'historical_word_counts' is float, but int64 is declared" in refused(
        write_dataset(tmp_path / "d", {"train": columns({**OTHER, "historical_word_counts": [2.0, 0.0]})})
    )


def test_a_feature_that_is_nowhere_is_refused_also_a_position(tmp_path):
    for name in ("image", "position"):
        sound = {**EXAMPLE, **KEPT, "image": [0.5, 1.0], name: []}
        data = write_dataset(tmp_path / name, {"train": columns(sound, {**OTHER, name: []})})
        assert f"no impression has a value of feature {name!r}: add it to the data, or remove it" in refused(data)


def test_a_further_label_needs_both_classes_in_train(tmp_path):
    data = write_dataset(tmp_path / "d", {"train": columns({**EXAMPLE, **KEPT, "purchase": [1]}, OTHER)})
    assert refused(data) == f"{data / 'train'}: every label 'purchase' is 1, so nothing can be learnt of it: both classes are needed."


def test_what_is_cut_or_guessed_is_counted_by_hand(tmp_path, any_size):
    """Of four interests three are read (−1 and "" are none), 200 and −3 are outside [0, 100], position 9 of 0…4 counts as 4."""
    cut = {
        "interests": [b"a", b"", b"b", b"c", b"d"],
        "interest_weights": [1.0] * 5,
        "price": [200.0],
        "position": [9],
        "historical_words": [b"x"] * 14,
        "historical_word_weights": [1.0] * 14,
        "historical_word_counts": [12, 2],
    }
    guessed = {**OTHER, "price": [-3.0], "position": [-1]}
    rows = columns({**EXAMPLE, **KEPT, **cut}, guessed, OTHER)
    known = tmp_path / "known.json"
    data = write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), rows))
    expected = {"tags interests": 3, "tags historical_words": 6, "clip price": 6, "guessed position": 3, "last position": 3}  # in 3 splits
    for _ in range(2):  # the second time from what the first has found
        assert check_data(data, FEATURES, known).cut == expected
    assert list(cut_notes(expected, FEATURES)) == [
        "price: 6 numbers are outside clip = [0, 100], and count as the nearer end.",
        "position: 3 impressions have no position, and count as shown at 0 (serving).",
        "position: 3 impressions have a position above 4, and count as shown there (positions).",
        "historical_words: 6 values are left out, since only the first 10 of a list are read (most).",
        "interests: 3 values are left out, since only the first 3 of a list are read (most).",
    ]


def test_events_after_the_impression_are_found_in_every_list_of_times(tmp_path):
    fields = {"clicks": {"clicked_at": {"kind": "time_gap"}}}
    features = FEATURES.model_validate({**FEATURES.model_dump(), "events": fields})
    for times, leaks in (([49, 50], False), ([49, 51], True)):
        rows = {**columns({**EXAMPLE, **KEPT}, OTHER), "clicked_at": [times, [1, 2]]}
        data = write_dataset(tmp_path / str(leaks), dict.fromkeys(("train", "validation", "eval"), rows))
        if leaks:
            assert "impression 1: its history holds an event after the impression" in refused(data, features)
        else:
            assert np.sum(list(check_data(data, features).examples.values())) == 6
