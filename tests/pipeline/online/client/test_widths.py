"""Requests of several clients have one width, so that TF Serving can merge them (`--enable_batching`)."""

import json

import numpy as np
import pytest

from components.serving.model.impression_tensors import predict_tensors
from din_trainer.features import Column, FeatureConfig
from din_trainer.raw_inputs import Input
from pipeline.online.client import Client
from pipeline.online.client.connection import Signature, Tensor
from pipeline.online.client.history_cut import most_recent
from pipeline.online.client.served_inputs import served_history_length
from tests.components.serving import toy
from tests.pipeline.online.client.raw_server import answer

HISTORIES = ("historical_item_ids", "historical_category_ids")
SHORT, LONG = toy.ROWS[1], {**toy.ROWS[0], "historical_item_ids": list(range(15)), "historical_category_ids": list(range(100, 115))}


@pytest.fixture
def shapes(server):
    """For each request the shape of each input."""
    server.serve = lambda connection, number: connection.sendall(answer())

    def read():
        bodies = [json.loads(request.body)["inputs"] for request in server.requests]
        return [{name: np.shape(values) for name, values in body.items()} for body in bodies]

    return read


@pytest.mark.parametrize(("options", "width"), [({}, 10), ({"pad_to": 10}, 10), ({"pad_to": 32}, 32)])
def test_two_clients_send_the_same_shapes(server, shapes, options, width):
    """Case 25: a short history and a long one, from two clients; the model reads 10 events."""
    for row in (SHORT, LONG):
        with Client(server.url, features=FeatureConfig(), **options) as client:
            client.predict([row])
            with pytest.raises(Exception, match="2 probabilities are needed"):
                client.rank([row], [toy.CANDIDATES[0]])
    predict, rank, *others = shapes()
    assert others == [predict, rank]
    assert all(found[name] == (1, width) for found in (predict, rank) for name in HISTORIES)


def test_the_most_recent_events_are_sent(server):
    with Client(server.url, features=FeatureConfig()) as client:
        client.predict([LONG])
    sent = json.loads(server.requests[0].body)["inputs"]
    assert (sent["historical_item_ids"], sent["historical_category_ids"]) == ([list(range(5, 15))], [list(range(105, 115))])


def test_a_history_longer_than_pad_to_is_refused_and_nothing_is_sent(server):
    with (
        Client(server.url, features=FeatureConfig(), pad_to=8) as client,
        pytest.raises(ValueError, match="feature 'historical_item_ids' has 10 events, but pad_to is 8: give a larger pad_to"),
    ):
        client.predict([LONG])
    assert not server.requests


def test_the_server_tells_the_history_length(monkeypatch):
    ids, history, widths = Tensor("DT_INT64", (-1,)), Tensor("DT_INT64", (-1, -1)), Tensor("DT_INT64", (-1, 7))
    inputs = {"user_id": ids, "candidate_item_id": ids, "historical_item_ids": history}
    signatures = {
        "predict": Signature(inputs, {}),
        "rank": Signature({**inputs, "candidate_item_id": history}, {}),
        "transform_features": Signature({}, {"historical_item_ids": widths, "candidate_item_id": ids}),
    }
    asked = []
    with Client("http://127.0.0.1:1/v1/models/demo") as client:
        monkeypatch.setattr(client._connection, "signatures", lambda: signatures)
        monkeypatch.setattr(client._connection, "run", lambda name, tensors, outputs, shape, _: answer_with(asked, tensors, shape))
        client.predict([LONG])
        client.predict([SHORT])
    np.testing.assert_array_equal(asked[0]["historical_item_ids"], [range(8, 15)])
    np.testing.assert_array_equal(asked[1]["historical_item_ids"], [[-1] * 7])


def answer_with(asked, tensors, shape):
    asked.append(tensors)
    return {"probability": np.full(shape, 0.5)}


@pytest.mark.parametrize("told", [0, -1, 10**9])
def test_a_history_length_that_no_model_has_counts_as_not_told(told):
    """Otherwise a server that tells 1e9 would take all memory for padding."""
    history = {"historical_item_ids": Tensor("DT_INT64", (-1, told))}
    inputs = [Input(Column("historical_item_ids", "int64", "behaviour", "sequence"))]
    assert served_history_length({"transform_features": Signature({}, history)}, inputs) is None


def test_a_server_that_does_not_tell_it_gets_the_longest_history(url):
    """The toy model has no `transform_features`."""
    with Client(url) as client:
        np.testing.assert_allclose(client.predict([LONG]), [toy.probability(LONG, 0.2)], rtol=1e-6)
        assert client._width() == 1


def test_histories_with_padding_among_the_last_events_stay_as_they_are():
    """The model reads the last events that are no padding, so cutting by position would lose some."""
    row = {"items": [1, 2, 3, -1], "kinds": [5, 6, 7, 8], "shops": ["a", "b", "c"], "short": [1]}
    cut = most_recent(row, [history(name) for name in row], 2)
    assert cut == {**row, "shops": ["b", "c"]}
    for padding in ("", b"", None, float("nan")):
        assert most_recent({"items": [1, 2, padding]}, [history("items")], 2)["items"][0] == 1


def test_fields_of_events_may_miss_values_and_tags_are_not_cut():
    """A price that is missing is no padding; tags are no history, whatever their number."""
    row = {"items": [1, 2, 3], "prices": [1.0, 2.0, None], "tags": ["a", "b", "c"]}
    tags = Input(Column("tags", "bytes", "user", "optional", None))
    inputs = [history("items"), Input(Column("prices", "float", "behaviour", "sequence", 1, True)), tags]
    assert most_recent(row, inputs, 2) == {"items": [2, 3], "prices": [2.0, None], "tags": ["a", "b", "c"]}


def history(name):
    return Input(Column(name, "int64", "behaviour", "sequence"), "event")


def test_padding_is_at_least_as_wide_as_asked_for():
    tensors = predict_tensors([SHORT, LONG], FeatureConfig(), pad_to=20)
    np.testing.assert_array_equal(tensors["historical_item_ids"], [[-1] * 20, [*range(15), *[-1] * 5]])
