"""A server that sends what a test says."""

import pytest

from tests.pipeline.online.client.raw_server import RawServer


@pytest.fixture
def server():
    result = RawServer()
    yield result
    result.close()
