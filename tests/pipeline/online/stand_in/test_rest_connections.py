"""What the REST server does with a connection: request lines, compressed and large bodies, broken and half requests, and its stop."""

import contextlib
import gzip
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest

from pipeline.online.client import Client, Unavailable
from pipeline.online.stand_in import http_protocol
from pipeline.online.stand_in import rest_server as rest
from pipeline.online.stand_in.loaded_version import LoadedVersion
from pipeline.online.stand_in.stand_in import StandIn
from tests.components.serving import toy
from tests.pipeline.online.stand_in.toy_instances import EXPECTED, FEATURES, INSTANCES


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://example.org:80/v1/models/demo HTTP/1.1", 200),  # as to a proxy
        ("GET //example.org/v1/models/demo HTTP/1.1", 200),
        ("GET //v1/models/demo HTTP/1.1", 404),
        ("GET /v1/models/demo%zz HTTP/1.1", 400),
        ('GET /v1/models/{"demo"} HTTP/1.1', 400),
        ("GET /v1/models/demo~ HTTP/1.1", 404),
        ("TRACE /v1/models/demo HTTP/1.1", 501),
        ("COPY /v1/models/demo HTTP/1.1", 501),
    ],
)
def test_request_lines_are_read_as_by_libevent(stand_in, line, status):
    """evhttp_uri_parse takes the path of a whole URI and refuses characters that no URI has; unknown methods are 501."""
    host, port = urlsplit(stand_in.rest_url).netloc.split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert int(connection.makefile("rb").readline().split()[1]) == status


def test_options_are_answered_to_a_page_of_a_site(stand_in):
    for headers, status in (({"Origin": "https://example.org"}, 200), ({"Origin": "null"}, 400), ({}, 400)):
        with contextlib.closing(http.client.HTTPConnection(urlsplit(stand_in.rest_url).netloc, timeout=30)) as connection:
            connection.request("OPTIONS", "/v1/models/demo:predict", headers=headers)
            assert connection.getresponse().status == status


def test_compressed_bodies_are_read(ask):
    body, zipped = json.dumps({"signature_name": "predict", "instances": INSTANCES}).encode(), {"Content-Encoding": "gzip"}
    whole = gzip.compress(body)
    status, answer = ask("POST", "/demo:predict", whole, headers=zipped)
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], EXPECTED, rtol=1e-6)
    for broken in (whole[:-1], whole + b"x", body, b""):
        assert ask("POST", "/demo:predict", broken, headers=zipped)[0] == 400
    assert ask("POST", "/demo:predict", gzip.compress(b" " * (rest.MAX_BYTES + 1)), headers=zipped)[0] == 413
    assert ask("POST", "/demo:predict", body, headers={"Content-Encoding": "identity"})[0] == 200


def test_a_body_that_is_too_large_is_refused(predict, monkeypatch):
    monkeypatch.setattr(rest, "MAX_BYTES", 1000)
    assert predict(b" " * 1001)[0] == 413
    assert predict({"signature_name": "predict", "instances": INSTANCES[:1]})[0] == 200


def test_broken_connections_and_requests_do_not_end_it(stand_in, predict):
    address = (urlsplit(stand_in.rest_url).hostname, urlsplit(stand_in.rest_url).port)
    for content in (b"\x00\xff", b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"):
        with socket.create_connection(address) as connection:
            connection.sendall(content)
    assert predict({"signature_name": "predict", "instances": INSTANCES})[0] == 200


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"POST /v1/models/demo:predict HTTP/1.1\r\nHo",
        b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_half_a_request_is_waited_for_only_so_long(stand_in, monkeypatch, half):
    monkeypatch.setattr(http_protocol, "READ_SECONDS", 0.05)
    with socket.create_connection((urlsplit(stand_in.rest_url).hostname, urlsplit(stand_in.rest_url).port), timeout=30) as connection:
        connection.sendall(half)
        assert connection.recv(100) == b""


@pytest.fixture
def slow(toy_folder, monkeypatch):
    """A stand-in of its own that answers when `go` is set, and sets `begun` when it was asked."""
    with StandIn(toy_folder) as server:
        server.begun, server.go, run = threading.Event(), threading.Event(), LoadedVersion.run

        def wait(*args):
            server.begun.set()
            server.go.wait(30)
            return run(*args)

        monkeypatch.setattr(LoadedVersion, "run", wait)
        yield server
        server.go.set()


@pytest.mark.parametrize("url", ["rest_url", "grpc_url"])
def test_a_running_request_ends_when_the_server_stops(slow, url):
    with ThreadPoolExecutor(2) as threads, Client(getattr(slow, url), features=FEATURES, retries=0) as client:
        asking = threads.submit(client.predict, toy.ROWS)
        assert slow.begun.wait(30)
        with socket.create_connection((urlsplit(slow.rest_url).hostname, urlsplit(slow.rest_url).port), timeout=30) as half:
            half.sendall(b"POST /v1/models/demo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            closing = threads.submit(slow.close)
            assert half.recv(100) == b""  # half a request holds nothing up
            slow.go.set()
            np.testing.assert_allclose(asking.result(30), EXPECTED, rtol=1e-6)
            closing.result(30)


def test_a_request_that_runs_too_long_is_refused_when_the_server_stops(slow, monkeypatch):
    slow._servers[0]._server.config.timeout_graceful_shutdown = 0.01
    with ThreadPoolExecutor(1) as threads, Client(slow.rest_url, features=FEATURES, retries=0) as client:
        asking = threads.submit(client.predict, toy.ROWS)
        assert slow.begun.wait(30)
        slow._servers[0].close()
        with pytest.raises(Unavailable, match="answered 503: the server is stopping"):
            asking.result(30)
        slow.go.set()


def test_an_unforeseen_error_is_an_answer_too(ask, stand_in, monkeypatch):
    def fail(spec):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(stand_in.endpoint, "version", fail)
    assert ask("POST", "/demo:predict", {"instances": [1]}) == (500, {"error": "RuntimeError: unforeseen"})
