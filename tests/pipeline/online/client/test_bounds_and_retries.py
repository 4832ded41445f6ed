"""How long the client waits, what it sends again, and through which proxy: timeouts hold whatever a server says."""

import contextlib
import itertools
import json
import pickle
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from din_trainer.features import FeatureConfig
from pipeline.online.client import Client, ServingError, Timeout, Unavailable, deadline
from pipeline.online.client.proxies import is_loopback
from tests.components.serving import toy
from tests.pipeline.online.client.raw_server import RawServer, answer, reset


def client(url, **options):
    return Client(url, features=FeatureConfig(), **options)


def score(url, **options):
    with client(url, **options) as asking:
        return asking.predict(toy.ROWS[:1])


@pytest.fixture
def pauses(monkeypatch):
    """The pauses before retries, which take no time."""
    result = []
    monkeypatch.setattr("pipeline.online.client.rest_connection.sleep", result.append)
    return result


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever it is read."""
    seconds = itertools.count()
    monkeypatch.setattr(deadline, "monotonic", lambda: float(next(seconds)))


def test_retry_after_does_not_beat_the_timeout(server, pauses):
    """Case 24: `Retry-After: 8` with `timeout=3`."""
    server.serve = lambda connection, number: connection.sendall(answer({"error": "busy"}, "503 X", ["Retry-After: 8"]))
    with pytest.raises(Unavailable, match="answered 503: busy"):
        score(server.url, timeout=3, retries=3)
    assert pauses == [0.001, 0.002, 0.004] and len(server.requests) == 4


def test_a_pause_that_would_end_after_the_timeout_is_not_begun(server, pauses, monkeypatch):
    monkeypatch.setattr("pipeline.online.client.rest_connection.RETRY_SECONDS", 4)
    server.serve = lambda connection, number: connection.sendall(answer({"error": "busy"}, "429 X"))
    with pytest.raises(Unavailable, match="answered 429: busy"):
        score(server.url, timeout=3)
    assert pauses == [] and len(server.requests) == 1


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["nothing", "status", "headers", "body", "body without length", "chunks"],
)
def test_a_server_that_sends_a_byte_now_and_then_does_not_beat_the_timeout(server, clock, start):
    def trickle(connection, number):
        connection.sendall(start)
        while True:
            connection.sendall(
                b"1\r\n \r\n" if start.endswith(b"chunked\r\n\r\n") else b"X-Y: 1\r\n" if start.endswith(b"OK\r\n") else b" "
            )

    server.serve = trickle
    # before the body, the HTTP library may give up first, because the headers are too long
    with pytest.raises(Timeout if start.endswith(b"\r\n\r\n") else (Timeout, Unavailable)):
        score(server.url, timeout=20, retries=0)


def test_a_server_that_answers_with_continue_for_ever_does_not_beat_the_timeout(server, clock):
    def go_on(connection, number):
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    server.serve = go_on
    with pytest.raises(Timeout, match=r"gave no answer within 20 s\."):
        score(server.url, timeout=20)


def test_a_reset_before_the_answer_is_tried_again(server):
    """Case 24: idempotent calls over a connection that breaks."""
    server.serve = lambda connection, number: reset(connection) if number < 2 else connection.sendall(answer())
    assert score(server.url) == [0.5] and len(server.requests) == 3
    server.serve = lambda connection, number: connection.shutdown(2) if number < 5 else connection.sendall(answer())
    assert score(server.url) == [0.5] and len(server.requests) == 6


def test_an_answer_that_breaks_off_is_tried_again(server):
    def serve(connection, number):
        connection.sendall(answer()[: -5 if number == 0 else None])
        if number == 0:
            connection.shutdown(2)

    server.serve = serve
    assert score(server.url) == [0.5] and len(server.requests) == 2


def test_a_server_that_closes_idle_connections_costs_no_request(server):
    def serve(connection, number):
        connection.sendall(answer())
        connection.shutdown(2)

    server.serve = serve
    with client(server.url) as asking:
        assert [asking.predict(toy.ROWS[:1]) for _ in range(40)] == [[0.5]] * 40
    assert server.connections == 40


def test_a_connection_is_kept(server):
    with client(server.url) as asking:
        assert [asking.predict(toy.ROWS[:1]) for _ in range(5)] == [[0.5]] * 5
    assert server.connections == 1


def test_resets_without_end_are_unavailable(server):
    server.serve = lambda connection, number: reset(connection)
    with pytest.raises(Unavailable, match="gave no complete HTTP answer"):
        score(server.url, retries=2)
    assert len(server.requests) == 3


@pytest.fixture
def proxied(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY", "NO_GRPC_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "grpc_proxy", "https_proxy"])
def test_loopback_never_goes_to_a_proxy(stand_in, proxied, name):
    """Case 24: `HTTP_PROXY` and its kin, REST and gRPC."""
    proxied(name, "http://127.0.0.1:1")
    for url in (stand_in.rest_url, stand_in.grpc_url, stand_in.rest_url.replace("127.0.0.1", "localhost")):
        with Client(url, retries=0) as asking:
            assert len(asking.predict(toy.ROWS)) == 3


def test_other_hosts_go_to_the_proxy_unless_no_proxy_names_them(server, proxied):
    proxied("http_proxy", server.address)
    assert score("http://din.invalid:80/v1/models/demo") == [0.5]
    assert server.requests[0].line.startswith("POST http://din.invalid")
    proxied("no_proxy", "din.invalid")
    with pytest.raises(Unavailable, match="cannot be reached"):
        score("http://din.invalid:80/v1/models/demo", retries=0)
    proxied("no_proxy", "")
    proxied("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ValueError, match="correct it, or add the host to NO_PROXY"):
        Client("http://din.invalid:80/v1/models/demo")


@pytest.mark.parametrize(
    "proxy", ["http://", "http://host:port", "http://host:99999", "host:0", "http://pröxy:3128", "ftp://host", "http://[::1"]
)
def test_what_is_no_proxy_is_refused_with_its_name(proxied, proxy):
    proxied("HTTP_PROXY", proxy)
    with pytest.raises(ValueError, match=r"the environment names the proxy .* for http://din\.invalid"):
        Client("http://din.invalid:80/v1/models/demo")


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(proxied):
    proxied("HTTP_PROXY", " http://user:word@127.0.0.1:1 ")
    with pytest.raises(Unavailable, match=r"cannot be reached through the proxy 127\.0\.0\.1:1 of the environment") as raised:
        score("http://din.invalid:80/v1/models/demo", retries=0)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:8501", True),
        ("http://127.1/v1/models/demo", True),
        ("[::1]:8500", True),
        ("http://[::ffff:127.0.0.1]:1", True),
        ("0.0.0.0:1", True),
        ("http://user:word@localhost.:2", True),
        ("a.localhost", True),
        ("10.0.0.1:80", False),
        ("127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
    ],
)
def test_loopback_is_known_by_its_name(address, loopback):
    assert is_loopback(address) is loopback


def test_ipv6_is_asked_with_its_host_in_brackets():
    try:
        server = RawServer("::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with contextlib.closing(server):
        assert score(server.url) == [0.5]
        assert server.requests[0].headers["host"] == server.address


def test_a_user_in_the_url_is_sent_as_basic_authorisation(server):
    score(server.url.replace("://", "://me:p%40ss@"))
    assert server.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert server.requests[0].headers["host"] == server.address


def test_escaped_names_mean_the_same_over_both_protocols(stand_in):
    for url in (stand_in.rest_url, stand_in.grpc_url):
        with Client(url.replace("/demo", "/d%65mo/labels/st%61ble")) as asking:
            np.testing.assert_allclose(asking.predict(toy.ROWS), [toy.probability(row, 0.1) for row in toy.ROWS], rtol=1e-6)


def test_threads_share_a_client(url):
    with Client(url) as asking, ThreadPoolExecutor(8) as threads:
        expected = [toy.probability(row, 0.2) for row in toy.ROWS]
        for scores in threads.map(asking.predict, [toy.ROWS] * 64):
            np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_a_client_can_be_handed_to_another_process(url):
    asking = pickle.loads(pickle.dumps(Client(url, features=FeatureConfig(), batch_size=2)))
    np.testing.assert_allclose(asking.predict(toy.ROWS), [toy.probability(row, 0.2) for row in toy.ROWS], rtol=1e-6)


def test_a_forked_process_does_not_read_the_answers_of_its_parent(server):
    server.serve = lambda connection, number: connection.sendall(answer({"outputs": [number / 10]}))
    code = """
import json, os, sys
from din_trainer.features import FeatureConfig
from pipeline.online.client import Client
client, row = Client(sys.argv[1], features=FeatureConfig()), json.loads(sys.argv[2])
client.predict([row])
if os.fork() == 0:
    client.predict([row])
    os._exit(0)
os.wait()
print(json.dumps(client.predict([row])))
"""
    done = subprocess.run([sys.executable, "-c", code, server.url, json.dumps(toy.ROWS[0])], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == pytest.approx([0.2]) and (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": float("nan")}, {"timeout": float("inf")}, {"retries": -1}, {"batch_size": 0}, {"pad_to": 0}],
    ids=str,
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="must be positive numbers"):
        client("http://127.0.0.1:1/v1/models/demo", **options)


def test_a_name_that_cannot_be_looked_up_is_unavailable(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ServingError, match=r"cannot be reached \(\[Errno -2\] Name or service not known\)"):
        score("http://din.invalid/v1/models/demo", retries=0)
