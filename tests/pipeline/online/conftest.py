"""A stand-in that serves two versions, shared by the tests that do not change its folder, and retries without long pauses."""

import pytest


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    """Versions 1, 2 and 3 of `tests.components.serving.toy`, biased by 0.1, 0.2 and 0.3: 1 is stable, 2 is the canary, 3 has no label."""
    from tests.components.serving import toy

    folder = tmp_path_factory.mktemp("toy") / "serving" / "demo"
    for version in (1, 2, 3):
        toy.save(folder / str(version), version / 10)
    toy.serve(folder, stable=1, canary=2)
    return folder


@pytest.fixture(scope="session")
def stand_in(toy_folder):
    from pipeline.online.stand_in.stand_in import StandIn

    with StandIn(toy_folder) as server:
        yield server


@pytest.fixture(params=["rest_url", "grpc_url"])
def url(request, stand_in):
    return getattr(stand_in, request.param)


@pytest.fixture
def folder(tmp_path):
    """Versions 1, 2 and 3, which are empty: 1 is stable, 2 is the canary."""
    from tests.components.serving import toy

    for version in (1, 2, 3):
        (tmp_path / "workspace" / "serving" / "demo" / str(version)).mkdir(parents=True)
    toy.serve(tmp_path / "workspace" / "serving" / "demo", stable=1, canary=2)
    return tmp_path / "workspace" / "serving" / "demo"


@pytest.fixture(autouse=True)
def short_pauses_before_retries(monkeypatch):
    """Over REST alone: gRPC takes the same number as its pause before a reconnect, and on a busy machine it starves with 1 ms."""
    monkeypatch.setattr("pipeline.online.client.rest_connection.RETRY_SECONDS", 0.001)
