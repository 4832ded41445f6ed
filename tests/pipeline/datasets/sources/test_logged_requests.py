"""Logged requests with labels that came later: what is joined, what counts as not clicked, and what is left out and counted."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.base.errors import InputError
from components.base.tfrecord import read_records
from components.serving.model.impression_tensors import predict_tensors, rank_tensors
from din_trainer.features import FeatureConfig
from pipeline.cli.main import main
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.requests.logged_requests import LoggedRequests
from tests.components.serving.requests.test_request_rows import make_log, write
from tests.components.serving.toy import NAMES

FEATURES = FeatureConfig()
OFFERED = [{"candidate_item_id": item, "candidate_category_id": item % 3} for item in (7, 2, 1)]


def user(number, history=(4, 0)):
    return dict(zip(NAMES, (number, 0, 0, list(history), [event % 3 for event in history]), strict=True))


def rank_log(request, seconds, number=3):
    return make_log("rank", rank_tensors([user(number)], [OFFERED], FEATURES), request, seconds).SerializeToString()


def predict_log(request, seconds, row):
    return make_log("predict", predict_tensors([row], FEATURES), request, seconds).SerializeToString()


@pytest.fixture
def log(tmp_path):
    """Three requests for three candidates each, at 1000, 2000 and 3000 s."""
    (tmp_path / "log").mkdir()
    write(tmp_path / "log" / "a.tfrecord", rank_log(b"r-1", 1000), rank_log(b"r-2", 2000, number=8))
    write(tmp_path / "log" / "b.tfrecord", rank_log(b"r-3", 3000))
    return tmp_path / "log"


def table(tmp_path, *lines):
    (tmp_path / "labels.csv").write_text("".join(f"{line}\n" for line in lines))
    return tmp_path / "labels.csv"


def read(source, skip_broken=False):
    tally = Tally(skip_broken)
    batches = [batch for file in source.files() for batch in source.read(file, tally)]
    return pa.Table.from_batches(batches).to_pylist(), tally


def test_clicks_are_joined_by_request_and_item(log, tmp_path):
    """A label 0 of the table counts at once; the histories are those that the model saw."""
    labels = table(tmp_path, "request_id,candidate_item_id,label", "r-1,7,1", "r-1,2,0", "r-3,1,1", "r-9,7,1")
    rows, tally = read(LoggedRequests(log, labels))
    assert [(row["request_id"], row["candidate_item_id"], row["label"], row["timestamp"], row["user_id"]) for row in rows] == [
        (b"r-1", 7, 1, 1000, 3), (b"r-1", 2, 0, 1000, 3), (b"r-3", 1, 1, 3000, 3),
    ]  # fmt: skip
    assert {(tuple(row["historical_item_ids"]), tuple(row["historical_category_ids"])) for row in rows} == {((4, 0), (1, 0))}
    assert tally.dropped == {"without a label; --label-window says when these count as not clicked": 6}
    assert tally.notes == {"labels of labels.csv match no logged request": 1}


def test_an_impression_without_a_label_was_not_clicked_after_the_window(log, tmp_path):
    """The labels go up to 2600 s. After a window of 600 s, requests up to 2000 s are old enough; that at 3000 s is not."""
    labels = table(tmp_path, "request_id,candidate_item_id,timestamp", "r-1,7,1100", "r-2,1,2600")
    rows, tally = read(LoggedRequests(log, labels, window=600))
    found = [(row["request_id"], row["candidate_item_id"], row["label"]) for row in rows]
    assert found == [(b"r-1", 7, 1), (b"r-1", 2, 0), (b"r-1", 1, 0), (b"r-2", 7, 0), (b"r-2", 2, 0), (b"r-2", 1, 1)]
    assert tally.dropped == {"without a label, and younger than the window: the label may still come": 3}
    assert tally.notes["impressions have no label after the window, and count as not clicked"] == 4
    assert len(read(LoggedRequests(log, labels, window=601))[0]) == 4  # r-2 is one second too young: only its click is there


def test_without_times_of_labels_the_log_s_latest_counts(log, tmp_path):
    rows, _ = read(LoggedRequests(log, table(tmp_path, "request_id,candidate_item_id", "r-1,7"), window=1000))
    assert [(row["request_id"], row["label"]) for row in rows] == [(b"r-1", 1), *[(b"r-1", 0)] * 2, *[(b"r-2", 0)] * 3]


def test_labels_without_items_are_for_requests_of_one_candidate(log, tmp_path):
    labels = table(tmp_path, "request_id", "r-1", "5")
    with pytest.raises(InputError, match=r"a\.tfrecord, request 1 has several candidates, but .*labels\.csv does not say which of them"):
        read(LoggedRequests(log, labels))
    one = write(tmp_path / "one", predict_log(b"5", 10, {**user(3), **OFFERED[0]}), predict_log(b"6", 10, {**user(3), **OFFERED[1]}))
    rows, tally = read(LoggedRequests(one, labels))
    assert [(row["request_id"], row["candidate_item_id"], row["label"]) for row in rows] == [(b"5", 7, 1)]
    assert tally.notes == {"labels of labels.csv match no logged request": 1}


def test_a_click_counts_more_than_other_labels_of_the_same_impression(log, tmp_path):
    labels = table(tmp_path, "request_id,candidate_item_id,label", "r-1,7,0", "r-1,7,1", "r-1,7,0")
    assert [row["label"] for row in read(LoggedRequests(log, labels))[0]] == [1]


@pytest.mark.parametrize("lines, reason", [
    (["request_id,label", "r-1,2"], "labels.csv, line 2: label is '2', but must be 0 or 1"),
    (["request_id,label", "r-1,"], "labels.csv, line 2: label is '', but must be 0 or 1"),
    (["request_id,label", ",1"], "labels.csv, line 2: request_id is '', but must be an id"),
    (["request_id,timestamp", "r-1,soon"], "labels.csv, line 2: timestamp is 'soon', but must be a time in unix seconds"),
    (["id,label", "r-1,1"], "labels.csv has no column request_id, by which labels are joined to requests"),
])  # fmt: skip
def test_broken_labels_are_named(log, tmp_path, lines, reason):
    with pytest.raises(InputError) as error:
        read(LoggedRequests(log, table(tmp_path, *lines)))
    assert reason in str(error.value)


def test_what_has_no_id_is_left_out_and_a_log_without_any_is_refused(tmp_path):
    labels = table(tmp_path, "request_id", "r-1")
    row = {**user(3), **OFFERED[0]}
    nameless = write(tmp_path / "nameless", predict_log(b"", 10, row))
    with pytest.raises(InputError, match=r"nameless: the requests have no request_id: send it as a feature of tf\.Examples"):
        LoggedRequests(nameless, labels)
    mixed = write(tmp_path / "mixed", predict_log(b"r-1", 10, row), predict_log(b"", 10, row))
    rows, tally = read(LoggedRequests(mixed, labels))
    assert (len(rows), tally.dropped) == (1, {"without request_id": 1})


def test_broken_requests_are_named_or_counted(log, tmp_path):
    labels = table(tmp_path, "request_id,candidate_item_id", "r-1,7")
    write(log / "c.tfrecord", b"\xff\xff", rank_log(b"r-1", 1000))
    source = LoggedRequests(log, labels)
    with pytest.raises(InputError, match=r"c\.tfrecord, request 1: it is no PredictionLog: correct or remove the request"):
        read(source)
    rows, tally = read(source, skip_broken=True)
    assert len(rows) == 2 and tally.dropped["broken lines"] == 1


def test_examples_bring_features_of_any_kind(tmp_path):
    """Text, floats, and a feature that only the second request has."""

    def example(**features):
        result = tf.train.Example()
        for name, value in features.items():
            kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(value)]
            getattr(result.features.feature[name], kind).value.append(value)
        return make_log("", {"examples": np.array([result.SerializeToString()], object)}).SerializeToString()

    common = {"user_id": b"ada", "candidate_item_id": b"x", "timestamp": 5, "price": 0.5}
    file = write(tmp_path / "log", example(request_id=1, **common), example(request_id=2, city=b"Bern", **common))
    rows, _ = read(LoggedRequests(file, table(tmp_path, "request_id,label", "1,0", "2,1")))
    assert rows == [
        {"label": label, "user_id": b"ada", "candidate_item_id": b"x", "timestamp": 5, "price": 0.5, "request_id": request, "city": city}
        for label, request, city in ((0, b"1", None), (1, b"2", b"Bern"))
    ]


def test_the_import_writes_a_data_set(tmp_path, capsys):
    """From the command line: 40 requests of five users; the histories of the data set are those of the requests."""
    records = [rank_log(f"r-{number}".encode(), 1000 * number, number % 5) for number in range(1, 41)]
    write(tmp_path / "log", *records)
    labels = table(tmp_path, "request_id,candidate_item_id,timestamp", *(f"r-{number},7,{1000 * number + 5}" for number in range(1, 41)))
    out = tmp_path / "data"
    command = ["import", "requests", str(tmp_path / "log"), "--labels", str(labels), "--label-window", "1s", "--split", "time"]
    assert main([*command, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "noted 80: impressions have no label after the window, and count as not clicked" in printed
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["source"], manifest["examples"]) == ("requests", {"train": 84, "validation": 12, "eval": 24})
    assert manifest["base_rate"]["train"] == pytest.approx(1 / 3)
    (shard,) = (out / "eval").iterdir()
    example = tf.train.Example.FromString(next(iter(read_records(shard))))
    assert list(example.features.feature["historical_item_ids"].int64_list.value) == [4, 0]
    assert example.features.feature["request_id"].bytes_list.value[0].startswith(b"r-")


@pytest.mark.parametrize("options, reason", [
    (["requests", "log"], "logged requests need --labels FILE"),
    (["requests", "log", "--labels", "x", "--label-window", "1"], "--label-window is '1': give seconds, minutes, hours or days"),
    (["taobao", "log", "--labels", "x"], "--labels and --label-window are for requests, not for taobao."),
    (["taobao", "log", "--label-window", "1h"], "--labels and --label-window are for requests, not for taobao."),
])  # fmt: skip
def test_options_that_do_not_fit(capsys, options, reason):
    assert main(["import", *options, "--out", "out"]) == 2
    assert reason in capsys.readouterr().err


def test_settings_that_need_what_requests_do_not_have(log, tmp_path):
    source = LoggedRequests(log, table(tmp_path, "request_id,candidate_item_id", "r-1,7"))
    with pytest.raises(InputError, match="requests has histories of its own, which are taken as they are: leave out --history"):
        import_source(source, tmp_path / "out", ImportSettings(history_length=3))
