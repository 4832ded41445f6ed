"""Requests to the REST server of the shared stand-in."""

import contextlib
import http.client
import json
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="module")
def ask(stand_in):
    """(method, path below /v1/models, body) -> (status, JSON)."""

    def call(method, path, body=None, whole_path=False, headers=()):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(stand_in.rest_url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path if whole_path else f"/v1/models{path}", data, dict(headers))
            response = connection.getresponse()
            content = response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content.decode(errors="replace")) if is_json else content

    return call


@pytest.fixture
def predict(ask):
    return lambda body, path="/demo:predict": ask("POST", path, body)
