"""Logged requests with features of every kind become a data set: tags, vectors, candidates' own fields and further labels."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.base.errors import InputError
from components.base.tfrecord import read_records
from components.serving.model.impression_tensors import predict_tensors, rank_tensors, to_example
from components.serving.model.impression_values import values_of
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import inputs_of
from pipeline.cli.main import main
from pipeline.datasets.importing.import_settings import ImportSettings, resolve_settings
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.requests.logged_requests import LoggedRequests
from tests.components.serving.model.every_kind import EXAMPLE, FEATURES, ROW
from tests.components.serving.requests.test_request_rows import make_log, write

READ = FeatureConfig.model_validate({**FEATURES.model_dump(), "user": {**FEATURES.model_dump()["user"], "user_id": {}}, "weight": ""})
USER = {"user_id": 5}
LISTS = {"interests", "interest_weights", "face", "genres", "image"}
KNOWN = {name: values if name in LISTS or name.startswith("historical_") else values[0] for name, values in EXAMPLE.items()}
NO_TIME = {"position": None}
LABELS = ["request_id,candidate_item_id,label,purchase", "r,3,1,1", "r,9,1,0", "s,3,0,0"]


def table(tmp_path, *lines):
    (tmp_path / "labels.csv").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "labels.csv"


def read(tmp_path, *logs, features=READ, labels=LABELS, skip_broken=False):
    file = write(tmp_path / "log", *(log.SerializeToString() for log in logs))
    source, tally = LoggedRequests(file, table(tmp_path, *labels), features=features), Tally(skip_broken)
    return pa.Table.from_batches(source.read(file, tally)).to_pylist(), tally


def predict(row, request=b"r", **changes):
    return make_log("predict", predict_tensors([row | USER], READ, pad_to=4) | changes, request, 100)


def as_example(row, **further):
    result = tf.train.Example.FromString(to_example(row, READ))
    for name, value in further.items():
        kind = result.features.feature[name]
        (kind.bytes_list if isinstance(value, bytes) else kind.int64_list).value.append(value)
    return make_log("serving_default", {"examples": np.array([result.SerializeToString()], object)}, b"", 100)


def test_tensors_of_predict_are_rows_of_a_data_set(tmp_path):
    """The form of a tf.Example: tags without padding, a missing vector is none, and tags of events are flat, with their lengths."""
    (row,), tally = read(tmp_path, predict(ROW))
    expected = {"label": 1, "purchase": True, "request_id": b"r", "timestamp": 100, **USER, **KNOWN, "image": [], **NO_TIME}
    np.testing.assert_equal(row, expected)
    assert tally.notes == {"labels of labels.csv match no logged request": 2} and not tally.dropped


def test_tf_examples_bring_positions_too_and_their_labels_do_not_count(tmp_path):
    """What no configured feature needs is left out."""
    (first, second), _ = read(
        tmp_path,
        as_example(ROW | USER, request_id=b"r", position=4, purchase=0, other=7),
        as_example(ROW | USER, request_id=b"s", position=-1, purchase=1),
    )
    np.testing.assert_equal(
        first, {"label": 1, "purchase": True, "request_id": b"r", "timestamp": 100, **USER, **KNOWN, "image": [], "position": 4}
    )
    assert (second["label"], second["purchase"], second["position"]) == (0, False, None)


def test_each_candidate_of_rank_has_its_own_fields(tmp_path):
    first = {"candidate_item_id": 3, "price": 2.5, "genres": [4, 5], "image": [1.0, 2.0], "brand": "x"}
    second = {"candidate_item_id": 9, "price": None, "genres": [], "image": None}
    rows, _ = read(tmp_path, make_log("rank", rank_tensors([ROW | USER], [[first, second]], READ), b"r", 100))
    names = ("candidate_item_id", "price", "genres", "image", "brand", "label", "purchase")
    assert [[row[name] for name in names] for row in rows] == [
        [3, 2.5, [4, 5], [1.0, 2.0], b"x", 1, True], [9, None, [], [], None, 1, False],
    ]  # fmt: skip
    assert all(row["interests"] == [b"a", b"b"] and row["historical_word_counts"] == [2, 0] for row in rows)


def test_numbers_that_are_not_finite_are_what_the_model_read(tmp_path):
    """A weight, or a part of a vector, counts as 0, and the price of an event as missing: a data set may hold none of them."""
    changes = {
        "interest_weights": np.array([[math.nan, 3.0, 0.0]], np.float32),
        "face": np.array([[math.inf, 2.0]], np.float32),
        "historical_prices": np.array([[math.inf, 2.5, math.nan, math.nan]], np.float32),
    }
    (row,), _ = read(tmp_path, predict(ROW, **changes))
    assert (row["interest_weights"], row["face"]) == ([0.0, 3.0], [0.0, 2.0])
    np.testing.assert_equal(row["historical_prices"], [math.nan, 2.5])


def test_an_impression_without_a_required_field_is_left_out(tmp_path):
    """−1 is an unknown item for the server, but in a data set each impression has its item."""
    rows, tally = read(tmp_path, predict(ROW, candidate_item_id=np.array([-1])), predict(ROW))
    assert len(rows) == 1 and tally.dropped == {"without candidate_item_id": 1}


@pytest.mark.parametrize("change, reason", [
    ({"face": np.ones((1, 3), np.float32)}, "feature 'face' has 3 numbers, but a vector of 2 is needed"),
    ({"brand": np.array([b"a\nb"], object)}, r"feature 'brand' is .*: no id has a line end or NUL in it"),
    ({"brand": np.array([b"\xff"], object)}, r"feature 'brand' is b'\\xff', which is no text in UTF-8"),
    ({"genres": np.array([[-7]])}, r"feature 'genres' holds a negative id \(-7\)"),
    ({"genres": np.array([[0.5]], np.float32)}, r"feature 'genres' is \[0.5\], but int64 is needed"),
])  # fmt: skip
def test_what_no_data_set_may_hold_is_a_broken_request(tmp_path, change, reason):
    with pytest.raises(InputError, match=f"request 1: {reason}"):
        read(tmp_path, predict(ROW, **change))
    rows, tally = read(tmp_path, predict(ROW, **change), predict(ROW), skip_broken=True)
    assert len(rows) == 1 and tally.dropped == {"broken lines": 1}


def test_without_the_features_tags_in_tensors_are_refused_and_the_option_is_named(tmp_path):
    """They are so even if no request of the log has an id that could be read."""
    with pytest.raises(InputError, match=r"no request_id: .*; 1 of the first cannot be read: log, request 1: input .* --config\.$"):
        read(tmp_path, predict(ROW), features=None, labels=["request_id", "r"])
    with pytest.raises(InputError, match=r"request 1: feature 'face' of an example has 2 values, but must have one: .* --config"):
        read(tmp_path, as_example(ROW | USER, request_id=b"r"), make_log("predict", {
            "user_id": np.array([5]), "candidate_item_id": np.array([3]), "historical_item_ids": np.array([[1]]),
        }, b"r", 100), features=None, labels=["request_id", "r"])  # fmt: skip


def test_several_labels_of_one_impression_count_each_for_itself(tmp_path):
    """Of the rows of an impression a 1 counts, label by label. A purchase without a click is unusual, and said."""
    labels = [LABELS[0], "r,3,1,0", "r,3,0,1", "s,3,0,1"]
    (first, second), tally = read(tmp_path, predict(ROW), predict(ROW, b"s"), labels=labels)
    assert [(row["label"], row["purchase"]) for row in (first, second)] == [(1, True), (0, True)]
    assert tally.warnings == {"impressions have the label purchase without a click": 1}


def test_the_first_label_may_have_a_column_of_its_own_name(tmp_path):
    (row,), _ = read(tmp_path, predict(ROW), labels=["request_id,click,purchase", "r,0,0"])
    assert (row["label"], row["purchase"]) == (0, False)


@pytest.mark.parametrize("lines, reason", [
    (["request_id,label", "r,1"], r"labels\.csv has no column purchase, which is one of features\.labels: add it, with 0 or 1"),
    (["request_id,purchase", "r,2"], r"labels\.csv, line 2: purchase is '2', but must be 0 or 1"),
])  # fmt: skip
def test_labels_that_lack_are_named(tmp_path, lines, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, predict(ROW), labels=lines)


def test_negatives_are_not_drawn_where_candidates_have_fields_of_other_names(tmp_path):
    file = write(tmp_path / "log", predict(ROW).SerializeToString())
    source = LoggedRequests(file, table(tmp_path, *LABELS), features=READ)
    with pytest.raises(InputError, match="price is a field of the candidate, but only fields named candidate_… are drawn with an item"):
        resolve_settings(source, ImportSettings(negatives="uniform"))
    assert resolve_settings(source, ImportSettings()).negatives == "observed"


def test_features_without_a_known_history_are_refused(tmp_path):
    features = FeatureConfig.model_validate({"behaviours": {"item": {"candidate": "candidate_item_id", "history": "clicked"}}})
    log = make_log("predict", predict_tensors([{**USER, "candidate_item_id": 1, "clicked": [2]}], features), b"r", 5)
    with pytest.raises(InputError, match="the features have no history named historical_…, by which an import knows histories"):
        read(tmp_path, log, features=features, labels=["request_id", "r"])


CONFIG = """
[features]
history_length = 5
labels = ["click", "purchase"]
[features.behaviours]
category = false
[features.user.interests]
kind = "tags"
dtype = "bytes"
weights = "interest_weights"
[features.candidate.image]
kind = "vector"
size = 2
[features.events.clicks.historical_words]
kind = "tags"
dtype = "bytes"
lengths = "historical_word_counts"
"""


def test_the_command_writes_a_data_set_whose_sample_din_predict_takes(tmp_path, capsys):
    """Twelve requests of four users; the sample has the tags of events as lists of lists, though their lengths have a name of their own."""
    (tmp_path / "config.toml").write_text(CONFIG)
    from pipeline.configuration.load_config import load_config

    features = load_config(str(tmp_path / "config.toml")).features
    row = {"candidate_item_id": 3, "interests": ["a"], "interest_weights": [0.5], "image": [1.0, 2.0],
           "historical_item_ids": [1, 2], "historical_words": [["x", "y"], []]}  # fmt: skip
    logs = [
        make_log("predict", predict_tensors([row | {"user_id": n % 4}], features), f"r-{n}".encode(), 1000 * n).SerializeToString()
        for n in range(1, 13)
    ]
    write(tmp_path / "log", *logs)
    labels = table(tmp_path, "request_id,label,purchase", *(f"r-{n},{n % 2},{n % 2}" for n in range(1, 13)))
    command = ["import", "requests", str(tmp_path / "log"), "--labels", str(labels), "--config", str(tmp_path / "config.toml")]
    assert main([*command, "--split", "time", "--out", str(tmp_path / "data")]) == 0
    assert "features: those of the configuration; others are left out" in capsys.readouterr().out
    (shard,) = (tmp_path / "data" / "train").iterdir()
    example = tf.train.Example.FromString(next(iter(read_records(shard)))).features.feature
    assert list(example["interests"].bytes_list.value) == [b"a"] and list(example["image"].float_list.value) == [1.0, 2.0]
    assert list(example["historical_words"].bytes_list.value) == [b"x", b"y"]
    assert list(example["historical_word_counts"].int64_list.value) == [2, 0]
    assert list(example["purchase"].int64_list.value) == list(example["label"].int64_list.value) == [1]
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["label_rates"]["purchase"].keys() == {
        "train",
        "validation",
        "eval",
    }
    sample = json.loads((tmp_path / "data" / "sample.jsonl").read_text().splitlines()[0])
    assert sample["historical_words"] == [["x", "y"], []] and "historical_word_counts" not in sample
    values = {read.column.name: values_of(sample, read) for read in inputs_of(features)}
    assert values["interests"] == [b"a"] and values["interest_weights"] == [0.5] and values["image"] == [1.0, 2.0]


def test_the_option_is_for_requests_alone(capsys, tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    assert main(["import", "taobao", "log", "--config", str(tmp_path / "config.toml"), "--out", "out"]) == 2
    assert "--config is for requests, not for taobao." in capsys.readouterr().err
