"""The client over REST and gRPC, against the stand-in."""

import json
import subprocess
import sys

import numpy as np
import pytest

from components.serving.model.impression_tensors import inputs_of, predict_tensors
from din_trainer.features import FeatureConfig
from pipeline.online.client import Client, InvalidRequest, NotFound
from pipeline.online.client.connection import Signature, Tensor
from tests.components.serving import toy

PROTOCOLS = ("rest_url", "grpc_url")


@pytest.mark.parametrize(("which", "bias"), [("", 0.2), ("/labels/stable", 0.1), ("/versions/1", 0.1)])
def test_scores_are_the_models_own_in_any_batches(url, which, bias):
    rows = toy.ROWS * 3
    expected = [toy.probability(row, bias) for row in rows]
    for size in (1, 2, 100):
        with Client(url + which, batch_size=size) as client:
            np.testing.assert_allclose(client.predict(rows), expected, rtol=1e-6)


def test_both_protocols_give_equal_scores(stand_in):
    scores = [Client(getattr(stand_in, name)).predict(toy.ROWS) for name in PROTOCOLS]
    assert scores[0] == scores[1]


def test_tf_examples_give_the_same_scores(url):
    np.testing.assert_allclose(Client(url, signature="serving_default").predict(toy.ROWS), Client(url).predict(toy.ROWS), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
def test_rank_gives_the_scores_of_each_users_candidates(url, size):
    expected = [[toy.probability({**user, **row}, 0.2) for row in rows] for user, rows in zip(toy.ROWS, toy.CANDIDATES, strict=True)]
    scores = Client(url, batch_size=size).rank(toy.ROWS, toy.CANDIDATES)
    assert [len(row) for row in scores] == [2, 1, 0]
    np.testing.assert_allclose([*scores[0], *scores[1]], [*expected[0], *expected[1]], rtol=1e-6)


def test_no_rows_give_no_scores(url):
    assert Client(url).predict([]) == [] and Client(url).rank([], []) == []


def test_the_signatures_show_what_the_model_reads(url):
    """The toy model names no dimensions, so nobody knows which histories belong together."""
    assert sorted(Client(url).features()) == sorted(
        read._replace(column=read.column._replace(role="context")) if read.column.role == "user" else read._replace(sequence="")
        for read in inputs_of(FeatureConfig())
    )


def test_numbers_and_text_are_distinguished(monkeypatch):
    kinds = {"age": "DT_STRING", "hour": "DT_DOUBLE", "price": "DT_FLOAT", "user_id": "DT_INT64", "item": "DT_STRING"}
    one = {name: Tensor(kind, (-1,)) for name, kind in kinds.items()}
    signatures = {"predict": Signature(one, {}), "rank": Signature({**one, "item": Tensor("DT_STRING", (-1, -1))}, {})}
    client = Client("http://127.0.0.1:1/v1/models/demo")
    monkeypatch.setattr(client._connection, "signatures", lambda: signatures)
    features = FeatureConfig.model_validate(
        {
            "behaviours": {"item": {"candidate": "item", "history": "items", "dtype": "bytes"}},
            "user": {"user_id": {}, "age": {"dtype": "bytes"}},
            "context": {"hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
        }
    )
    rows = [{"user_id": 1, "item": "a", "hour": 3, "price": 1.5, "age": None}, {"user_id": 2, "item": "b", "hour": None}]
    ours, configured = (predict_tensors(rows, known) for known in (client.features(), features))
    for name, values in ours.items():
        assert values.dtype == configured[name].dtype
        np.testing.assert_array_equal(values, configured[name])
    assert configured["hour"].dtype == np.float64 and np.isnan(configured["hour"][1])


def test_rows_that_are_not_what_the_model_reads_are_value_errors(url):
    client = Client(url)
    with pytest.raises(ValueError, match="'candidate_item_id' needs one value"):
        client.predict([{**toy.ROWS[0], "candidate_item_id": None}])
    with pytest.raises(ValueError, match="'user_id' is \"x\", but int64 is needed"):
        client.predict([{**toy.ROWS[0], "user_id": "x"}])


def test_errors_are_typed_and_name_the_url(stand_in):
    for name in PROTOCOLS:
        url = getattr(stand_in, name)
        with pytest.raises(NotFound, match="version 9 of model 'demo' is not served") as raised:
            Client(f"{url}/versions/9").predict(toy.ROWS)
        assert str(raised.value).startswith(f"{url}/versions/9 answered ")
        with pytest.raises(InvalidRequest, match="label 'old' of model 'demo' is not served"):
            Client(f"{url}/labels/old").predict(toy.ROWS)


def test_rest_imports_neither_tensorflow_nor_tfx(stand_in):
    code = """
import json, sys
from pipeline.online.client import Client
url, users, candidates = sys.argv[1], *map(json.loads, sys.argv[2:])
with Client(url) as client:
    print(json.dumps([client.predict(users), client.rank(users, candidates)]))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    command = [sys.executable, "-c", code, stand_in.rest_url, json.dumps(toy.ROWS), json.dumps(toy.CANDIDATES)]
    scores, modules = map(json.loads, subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    np.testing.assert_allclose(scores[0], [toy.probability(row, 0.2) for row in toy.ROWS], rtol=1e-6)
    assert [len(row) for row in scores[1]] == [2, 1, 0]
    assert "httpcore" in modules
    assert not {"tensorflow", "tfx", "tensorflow_serving", "tensorflow_transform", "apache_beam", "keras", "grpc"} & set(modules)
