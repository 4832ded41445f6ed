"""A push, the client, and a stand-in that behaves like a TF Serving with slow and failing loads, over sockets, on a clock of the test."""

import math

import numpy as np
import pytest

from components.serving.servers.asked_server import GrpcServer
from components.serving.servers.status import serving_status
from components.serving.store.label_moves import NotServed, Servers
from components.serving.store.push import push
from din_trainer.features import FeatureConfig
from pipeline.online.client import Client
from pipeline.online.stand_in.stand_in import StandIn
from pipeline.online.stand_in.version_manager import Behaviour
from tests.components.serving import toy

FAILS_FROM = 2  # the first version is 1


class _Failing(dict):
    """All later versions fail to load."""

    def get(self, number, default=0):
        return math.inf if number >= FAILS_FROM else 0


class Stage:
    """A stand-in, its clock, and a client that asks for the stable version at each step of the clock."""

    def __init__(self, base, **behaviour):
        self.seconds, self.scores = 0.0, []
        behaviour = Behaviour(**{"config_poll_seconds": 5, "refuses": True, **behaviour})
        self.stand_in = StandIn(base, behaviour=behaviour, now=self.monotonic, runs=False)
        self.asked = GrpcServer(self.stand_in.grpc_url.rpartition("/")[0], "demo")
        self.client = Client(f"{self.stand_in.rest_url}/labels/stable", features=FeatureConfig())

    def monotonic(self):
        return self.seconds

    time = monotonic

    def sleep(self, seconds):
        for _ in range(math.ceil(seconds)):
            self.seconds += 1
            self.stand_in.endpoint.step()
            self.scores += self.client.predict(toy.ROWS[:1])

    def close(self):
        self.client.close()
        self.asked.close()
        self.stand_in.close()


@pytest.fixture
def base(tmp_path):
    toy.save(tmp_path / "demo" / "1", 0.1)
    toy.serve(tmp_path / "demo", stable=1)
    toy.save(tmp_path / "model", 0.2)
    return tmp_path / "demo"


@pytest.fixture
def stage(base, request):
    result = Stage(base, **request.param)
    yield result
    result.close()


def push_to(stage, base):
    return push(base.parent / "model", base, servers=Servers([stage.asked], wait_seconds=600, clock=stage)).version


@pytest.mark.parametrize("stage", [{"load_seconds": 25}, {"load_seconds": 25, "refuses": False}], indirect=True, ids=["polls", "din serve"])
def test_every_request_is_answered_while_a_slow_version_takes_over(stage, base):
    version = push_to(stage, base)
    old, new = (toy.probability(toy.ROWS[0], bias) for bias in (0.1, 0.2))
    changes = np.flatnonzero(np.diff(stage.scores))
    assert len(changes) == 1 and 25 <= stage.seconds <= 60  # it moved once, within the load and some polls
    np.testing.assert_allclose(stage.scores, [old] * (changes[0] + 1) + [new] * (len(stage.scores) - changes[0] - 1), rtol=1e-6)
    assert stage.asked.labelled("stable") == version and stage.asked.states()[version].state == "AVAILABLE"
    assert serving_status(base, [stage.asked]).servers[0].labels == {"canary": version, "stable": version}


@pytest.mark.parametrize(
    "stage",
    [{"load_seconds": 2, "failing": _Failing(), "load_retries": 5}, {"failing": _Failing(), "refuses": False}],
    indirect=True,
    ids=["polls", "din serve"],
)
def test_a_version_that_does_not_load_is_withdrawn_and_the_old_one_answers(stage, base):
    with pytest.raises(NotServed, match="the load fails, as was asked for"):
        push_to(stage, base)
    stage.sleep(20)
    np.testing.assert_allclose(stage.scores, toy.probability(toy.ROWS[0], 0.1), rtol=1e-6)
    assert stage.asked.labelled("stable") == 1
