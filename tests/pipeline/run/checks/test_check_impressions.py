"""Every kind of bad impression ends in one sentence that says what, where and what to do."""

import gzip

import pytest

from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import DatasetWriter
from pipeline.run.checks.check_impressions import check_data
from tests.pipeline.run.checks.refused_data import FEATURES, refused
from tests.sample_data import make_impressions, write_dataset


def test_sound_data_is_counted(data):
    facts = check_data(data, FEATURES)
    assert facts.examples == {"train": 4, "validation": 4, "eval": 4}
    assert facts.columns == dict.fromkeys(make_impressions(), "int64")


def test_histories_may_be_empty_or_longer_than_the_model_keeps(tmp_path):
    long = make_impressions(
        historical_item_ids=[[1] * 500, [], [], []],
        historical_category_ids=[[1] * 500, [], [], []],
        historical_timestamps=[[1] * 500, [], [], []],
    )
    assert check_data(write_dataset(tmp_path / "d", {"train": long}), FEATURES).examples["train"] == 4


BAD_ROWS = {
    "the label must be 0 or 1": {"label": [0, 1, 2, 0]},
    "feature 'user_id' holds a negative id (-2)": {"user_id": [0, 1, -2, 3]},
    "feature 'user_id' is -1, which means that it is missing, but": {"user_id": [0, 1, -1, 3]},
    "feature 'candidate_item_id' is -1, which means that it is missing, but": {"candidate_item_id": [0, 1, -1, 3]},
    "feature 'historical_item_ids' holds a negative id (-7)": {"historical_item_ids": [[3], [], [9, -7, 3], [5, 5]]},
    "feature 'historical_item_ids' holds -1, which means no event": {"historical_item_ids": [[3], [], [9, -1, 3], [5, 5]]},
    "feature 'historical_category_ids' holds -1, which means no event": {"historical_category_ids": [[0], [], [2, -1, 0], [1, 1]]},
    "feature 'timestamp' holds the time -1": {"timestamp": [20, 20, -1, 50]},
    "feature 'historical_timestamps' holds the time -5": {"historical_timestamps": [[10], [], [-5, 2, 30], [4, 5]]},
    "feature 'candidate_item_id' must have exactly one value": {"candidate_item_id": [[5], [3], [], [9]]},
    "holds an event after the impression": {"historical_timestamps": [[10], [], [1, 2, 41], [4, 5]]},
    "'historical_category_ids' and 'historical_item_ids' differ in length": {"historical_category_ids": [[0], [], [2, 0], [1, 1]]},
    "'historical_timestamps' and 'historical_item_ids' differ in length": {"historical_timestamps": [[1], [], [], [1, 1]]},
}


@pytest.mark.parametrize("message", BAD_ROWS)
def test_a_bad_impression_is_named(tmp_path, message):
    data = write_dataset(tmp_path / "d", {"validation": make_impressions(**BAD_ROWS[message])})
    text = refused(data)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


TEXT = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes"},
        },
        "user": {"user_id": {"dtype": "bytes"}},
        "context": {"device": {"dtype": "bytes"}, "age": {}, "hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)


def text_impressions(**changes):
    """Impressions with ids of bytes and features of every kind."""
    return make_impressions(
        **{
            "user_id": [b"a", b"a", b"b", b"c"],
            "candidate_item_id": [b"i", b"j", b"k", b"i"],
            "historical_item_ids": [[b"j"], [], [b"i", b"j", b"k"], [b"k", b"k"]],
            "candidate_category_id": None,
            "historical_category_ids": None,
            "device": [b"phone", None, b"desk", b"desk"],
            "age": [1, None, 2, 3],
            "hour": [3, None, 4, 5],
            "price": [0.5, None, 1.5, 2.5],
        }
        | changes
    )


def write_text(out, **changes):
    return write_dataset(out, {"train": text_impressions(), "validation": text_impressions(**changes), "eval": text_impressions()})


BAD_TEXT = {
    "feature 'user_id' is b'', which means that it is missing, but": {"user_id": [b"a", b"a", b"", b"c"]},
    "feature 'candidate_item_id' is b'', which means that it is missing, but": {"candidate_item_id": [b"i", b"j", b"", b"i"]},
    "feature 'historical_item_ids' holds b'', which means no event": {"historical_item_ids": [[b"j"], [], [b"i", b"", b"k"], [b"k", b"k"]]},
    "feature 'historical_item_ids' holds b'j\\n': ids with a line end": {
        "historical_item_ids": [[b"j"], [], [b"i", b"j\n", b"k"], [b"k", b"k"]]
    },
    "feature 'candidate_item_id' holds b'\\rk': ids with a line end": {"candidate_item_id": [b"i", b"j", b"\rk", b"i"]},
    "feature 'device' holds b'de\\x00sk': ids with a line end or NUL": {"device": [b"phone", None, b"de\0sk", b"desk"]},
    "feature 'device' holds b'\\xff\\xfe', which is not UTF-8": {"device": [b"phone", None, b"\xff\xfe", b"desk"]},
    "feature 'age' holds a negative id (-2)": {"age": [1, None, -2, 3]},
    "feature 'price' is inf: leave it out, or write NaN": {"price": [0.5, None, float("inf"), 2.5]},
    "feature 'price' is -inf: leave it out, or write NaN": {"price": [0.5, None, -float("inf"), 2.5]},
}


@pytest.mark.parametrize("message", BAD_TEXT)
def test_text_that_is_no_id_is_named(tmp_path, message):
    """Case 16: Transform leaves out "" and text with line ends without a word, and `predict` takes "" in a history as padding."""
    data = write_text(tmp_path / "d", **BAD_TEXT[message])
    text = refused(data, TEXT)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


def test_an_optional_feature_may_be_written_as_missing(tmp_path):
    """Case 8: −1, "" and NaN mean what the feature's absence means. A number may be −1, and odd ids are ids."""
    odd = [b" a ", "\u2028".encode(), b"x" * 100_000, b"NA"]
    data = write_text(
        tmp_path / "d", device=[b"", None, b"\t", b'"'], age=[-1, None, 2, -1], hour=[-1, -7, 0, 1], price=[float("nan")] * 4, user_id=odd
    )
    assert check_data(data, TEXT).examples["validation"] == 4


@pytest.mark.parametrize(("name", "missing"), [("device", b""), ("age", -1), ("price", float("nan"))])
def test_a_feature_that_is_missing_in_all_of_train(tmp_path, name, missing):
    splits = {"train": text_impressions(**{name: [missing] * 4}), "validation": text_impressions(), "eval": text_impressions()}
    data = write_dataset(tmp_path / "d", splits)
    assert refused(data, TEXT).startswith(f"{data / 'train'}: no impression has a value of feature {name!r}")


WEIGHTED = FeatureConfig(weight="importance")
BAD_WEIGHTS = {
    "the weight 'importance' must be a number, 0 or more": [
        [0.5, 1.0, -0.5, 1.0],
        [0.5, 1.0, float("nan"), 1.0],
        [0.5, 0.0, float("inf"), 1.0],
    ],
    "feature 'importance' must have exactly one value": [[0.5, 1.0, None, 1.0], [[0.5], [1.0], [1.0, 2.0], [1.0]]],
}


@pytest.mark.parametrize(("message", "weights"), [(message, weights) for message, cases in BAD_WEIGHTS.items() for weights in cases])
def test_a_bad_weight_is_named(tmp_path, message, weights):
    sound = make_impressions(importance=[0.5, 0.0, 1.0, 2.0])
    data = write_dataset(tmp_path / "d", {"train": sound, "validation": sound | {"importance": weights}, "eval": sound})
    text = refused(data, WEIGHTED)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


def test_weights_that_are_nowhere_or_no_floats(data, tmp_path):
    assert "train/part-00000.tfrecord.gz has no feature 'importance' (float)" in refused(data, WEIGHTED)
    whole = write_dataset(tmp_path / "d", {"train": make_impressions(importance=[1, 2, 3, 4])})
    assert "feature 'importance' is int64, but float is declared" in refused(whole, WEIGHTED)


@pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
def test_a_class_without_weight(tmp_path, weights):
    """Only training uses weights: those of the eval split may all be 0."""
    sound, light = make_impressions(importance=[0.0, 1.0, 0.0, 0.5]), make_impressions(importance=weights)
    data = write_dataset(tmp_path / "d", {"train": sound, "validation": light, "eval": sound})
    assert refused(data, WEIGHTED).startswith(f"{data / 'validation'}: 'importance' is 0 for a whole class of labels")
    unweighted_eval = write_dataset(tmp_path / "e", {"train": sound, "validation": sound, "eval": light})
    assert check_data(unweighted_eval, WEIGHTED).examples["eval"] == 4


TWO_SEQUENCES = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids"},
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
            "since": {"candidate": "candidate_hour", "history": "cart_hours", "sequence": "cart"},
        }
    }
)
CARTS = {"candidate_hour": [1, 2, 3, 4], "cart_item_ids": [[1], [2, 3], [4, 5], []], "cart_hours": [[1], [2, 3], [4, 5], []]}


def test_sequences_have_lengths_of_their_own(tmp_path):
    data = write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), make_impressions(**CARTS)))
    assert check_data(data, TWO_SEQUENCES).examples["eval"] == 4


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        ("cart_item_ids", {"cart_hours": [[1], [2, 3], [4], []]}),
        ("historical_item_ids", {"historical_category_ids": [[0], [], [2], [1, 1]]}),
    ],
)
def test_histories_of_one_sequence_are_aligned(tmp_path, first, changes):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(**CARTS | changes)})
    text = refused(data, TWO_SEQUENCES)
    assert f"impression 3: {next(iter(changes))!r} and {first!r} differ in length" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"historical_timestamps": None}, "'historical_timestamps' and 'historical_item_ids' differ in length"),
        ({"timestamp": None}, "has no feature 'timestamp' (int64)"),
        ({"timestamp": [[20], [], [40], [50]]}, "feature 'timestamp' must have exactly one value"),
    ],
)
def test_time_gaps_need_times(tmp_path, changes, message):
    data = write_dataset(tmp_path / "d", {"validation": make_impressions(**changes)})
    check_data(write_dataset(tmp_path / "sound"), FeatureConfig(time_gap=True))
    assert message in refused(data, FeatureConfig(time_gap=True))


def test_a_missing_feature(tmp_path):
    data = write_dataset(tmp_path / "d", {"eval": make_impressions(candidate_category_id=None)})
    assert "eval/part-00000.tfrecord.gz has no feature 'candidate_category_id' (int64)" in refused(data)


@pytest.mark.parametrize("name", ["historical_item_ids", "historical_category_ids"])
def test_a_history_that_is_nowhere(tmp_path, name):
    gone = {"historical_item_ids": None, "historical_category_ids": None, "historical_timestamps": None}
    kept = {} if name == "historical_item_ids" else {"historical_item_ids": [[], [], [], []]}
    data = write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), make_impressions(**gone | kept)))
    assert "no impression has a value of feature 'historical_" in refused(data)


def test_a_declared_feature_that_is_nowhere(data):
    features = FeatureConfig.model_validate({"context": {"hour": {}}})
    assert "no impression has a value of feature 'hour'" in refused(data, features)


def test_mistyped_times(tmp_path):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(timestamp=[b"a", b"b", b"c", b"d"])})
    assert "feature 'timestamp' is bytes, but int64 is declared" in refused(data)


def test_a_mistyped_feature(tmp_path):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(user_id=[b"a", b"b", b"c", b"d"])})
    assert "feature 'user_id' is bytes, but int64 is declared" in refused(data)


def test_one_class_only(tmp_path):
    data = write_dataset(tmp_path / "d", {"eval": make_impressions(label=[1, 1, 1, 1])})
    assert refused(data).startswith(f"{data / 'eval'}: every label is 1")


def test_a_split_without_impressions(tmp_path):
    with DatasetWriter(tmp_path / "d"):
        pass
    (tmp_path / "d/train/part-00000.tfrecord.gz").write_bytes(gzip.compress(b""))
    assert "train holds no impressions" in refused(tmp_path / "d")


def test_numbers_may_be_negative_and_optional_ones_missing(tmp_path):
    features = FeatureConfig.model_validate({"context": {"temperature": {"kind": "numeric"}, "page": {"dtype": "bytes"}}})
    columns = make_impressions(temperature=[-5, None, 3, 20], page=[b"home", b"home", None, None])
    facts = check_data(write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), columns)), features)
    assert facts.columns["temperature"] == "int64" and facts.columns["page"] == "bytes"
