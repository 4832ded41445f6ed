"""An exported model with every kind of feature gives the same scores here, over REST and over gRPC."""

import shutil

import numpy as np
import pytest

from benchmarks.exports.small_export import FEATURES, IMPRESSIONS
from components.serving.model.impression_tensors import as_impressions, to_example
from pipeline.online.client import Client
from pipeline.online.stand_in.stand_in import StandIn
from pipeline.predict.score_json import Scorer
from tests.components.serving import toy

CANDIDATES = [
    [{"candidate_item_id": item, "candidate_category_id": category} for item, category in ((7, "a"), (2**62, "\u00e9"), (3, "c"))],
    [{"candidate_item_id": 9, "candidate_category_id": " "}],
    [{"candidate_item_id": 12345, "candidate_category_id": "b"}] * 2,
]


@pytest.fixture(scope="module")
def folder(small_export, tmp_path_factory):
    result = tmp_path_factory.mktemp("demo")
    shutil.copytree(small_export.saved_model, result / "1")
    toy.serve(result, stable=1)
    return result


@pytest.fixture(scope="module")
def urls(folder):
    with StandIn(folder) as server:
        yield {"rest": server.rest_url, "grpc": server.grpc_url}


@pytest.fixture(scope="module")
def local(folder):
    scorer = Scorer(folder / "1")
    return lambda rows: [score["probability"] for score in scorer.score_examples([to_example(row, FEATURES) for row in rows])]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("features", [None, FEATURES], ids=["told by the server", "configured"])
@pytest.mark.parametrize("signature", ["predict", "serving_default"])
def test_served_scores_are_the_exports_own(urls, local, protocol, features, signature):
    client = Client(urls[protocol], features=features, signature=signature, batch_size=2)
    np.testing.assert_allclose(client.predict(IMPRESSIONS), local(IMPRESSIONS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_server_tells_the_width_of_all_requests(urls, protocol, monkeypatch):
    """Case 25 of the issue's list: requests of all clients have the model's own width, so that they merge under batching."""
    with Client(urls[protocol]) as client:
        run, shapes = client._connection.run, []

        def record(name, tensors, outputs, shape, request_id):
            shapes.append({key: values.shape[1:] for key, values in tensors.items()})
            return run(name, tensors, outputs, shape)

        monkeypatch.setattr(client._connection, "run", record)
        for row in IMPRESSIONS:
            client.predict([row])
    widths = {shape[key] for shape in shapes for key in shape if key.startswith("historical")}
    assert widths == {(FEATURES.history_length,)} and all(shape == shapes[0] for shape in shapes)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_served_ranks_are_the_exports_own_scores(urls, local, protocol):
    scores = Client(urls[protocol]).rank(IMPRESSIONS, CANDIDATES)
    assert [len(row) for row in scores] == [3, 1, 2]
    np.testing.assert_allclose(np.concatenate(scores), local(as_impressions(IMPRESSIONS, CANDIDATES)), rtol=0, atol=1e-6)
