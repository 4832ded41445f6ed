"""The log of requests that the stand-in writes: what was asked and answered, over both protocols, and a disk that is full."""

import errno
import os
from contextlib import contextmanager

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from components.base.errors import InputError
from components.base.tfrecord import read_records
from components.serving.model.impression_tensors import as_impressions
from components.serving.requests.request_columns import named_columns
from components.serving.requests.request_logs import read_log
from pipeline.online.client import Client, ServingError
from pipeline.online.stand_in.request_log import RequestLog
from pipeline.online.stand_in.stand_in import StandIn
from tests.components.serving import toy


@contextmanager
def logging_server(folder, log, sample=1.0):
    with StandIn(folder, log=RequestLog(log, sample)) as server:
        yield server


def logs(folder):
    return [PredictionLog.FromString(record) for file in sorted(folder.iterdir()) for record in read_records(file)]


def rows(folder):
    return [row for file in sorted(folder.iterdir()) for logged in read_log(file, named_columns()) for row in logged.rows]


@pytest.mark.parametrize("url", ["rest_url", "grpc_url"])
@pytest.mark.parametrize("signature", ["predict", "serving_default"])
def test_what_was_asked_is_read_back(toy_folder, tmp_path, url, signature):
    asked = [{**row, "request_id": f"r-{place}", "timestamp": 1700 + place} for place, row in enumerate(toy.ROWS)]
    with logging_server(toy_folder, tmp_path / "log") as server, Client(getattr(server, url), signature=signature) as client:
        scores = client.predict(asked)
    (log,) = logs(tmp_path / "log")
    spec = log.predict_log.request.model_spec
    assert (spec.name, spec.signature_name, log.log_metadata.model_spec.version.value) == ("demo", signature, 2)
    assert log.log_metadata.timestamp_secs > 1_700_000_000 and log.log_metadata.sampling_config.sampling_rate == 1
    np.testing.assert_allclose(tf.make_ndarray(log.predict_log.response.outputs["probability"]), scores, rtol=1e-6)
    found = rows(tmp_path / "log")
    if signature == "serving_default":
        assert [{"historical_item_ids": [], "historical_category_ids": [], **row} for row in found] == [
            {**row, "request_id": row["request_id"].encode()} for row in asked
        ]
    else:
        assert [{name: row[name] for name in toy.NAMES} for row in found] == toy.ROWS
        assert not [row for row in found if "request_id" in row]  # three ids in one request of tensors


def test_rank_over_grpc_carries_the_id(toy_folder, tmp_path):
    user = [{**toy.ROWS[0], "request_id": "r-9"}]
    with logging_server(toy_folder, tmp_path / "log") as server, Client(server.grpc_url) as client:
        client.rank(user, toy.CANDIDATES[:1])
    found = rows(tmp_path / "log")
    assert [{name: row[name] for name in toy.NAMES} for row in found] == as_impressions(toy.ROWS[:1], toy.CANDIDATES[:1])
    assert {row["request_id"] for row in found} == {b"r-9"}


def test_refused_requests_are_not_logged(toy_folder, tmp_path):
    with logging_server(toy_folder, tmp_path / "log") as server, Client(server.rest_url) as client, pytest.raises(ServingError):
        client._connection.run("nope", {"x": np.array([1])}, ["probability"], (1,))
    assert list((tmp_path / "log").iterdir()) == []


def answered(number):
    spec = ModelSpec(name="demo", version={"value": number})
    return PredictRequest(model_spec=spec, client_id=str(number).encode()), PredictResponse(model_spec=spec)


def ids(folder):
    return [int(log.predict_log.request.client_id) for log in logs(folder)]


def test_files_rotate_and_keep_the_order(tmp_path):
    log = RequestLog(tmp_path, file_bytes=200)
    for number in range(20):
        log.add(*answered(number))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 3 and all(file.stat().st_size < 400 and file.stat().st_mode & 0o077 == 0 for file in files)
    assert ids(tmp_path) == list(range(20))


def test_a_share_is_logged(tmp_path):
    log = RequestLog(tmp_path, sample=0.25)
    wanted = sum(log.wants() for _ in range(10_000))
    log.close()
    assert 2_250 < wanted < 2_750  # six standard deviations are 260


def test_a_full_disk_loses_requests_and_says_so_once(tmp_path, monkeypatch):
    """The disk is full after half of the third record, and has room again for the sixth. What is in the file stays whole."""
    write, calls, lines = os.write, [], []

    def full(file, data):
        calls.append(len(data))
        if len(calls) == 3:
            return write(file, data[: len(data) // 2])
        if 4 <= len(calls) <= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    monkeypatch.setattr("pipeline.online.stand_in.request_log.os.write", full)
    log = RequestLog(tmp_path, say=lines.append)
    for number in range(8):
        log.add(*answered(number))
    log.close()
    assert ids(tmp_path) == [0, 1, 5, 6, 7]
    assert lines == [
        f"Requests are served, but not logged: {tmp_path}: the disk is full: free some space, or name a place on another disk.",
        "Requests are logged again, after 3 were lost.",
        f"3 requests are not in the log {tmp_path}.",
    ]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/log cannot be made \(Not a directory\): name another folder with --log-requests\."):
        RequestLog(tmp_path / "file" / "log")
