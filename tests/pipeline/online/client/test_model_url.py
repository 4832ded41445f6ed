"""The URLs that name a served model."""

import pytest

from pipeline.online.client.model_url import ModelUrl, parse_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://h:8501/v1/models/demo", {"rest": "http://h:8501"}),
        ("https://h/v1/models/demo/labels/canary", {"rest": "https://h", "label": "canary"}),
        ("grpc://h:8500/demo/versions/7/", {"grpc": "h:8500", "version": "7"}),
    ],
)
def test_a_url_names_server_model_and_version(url, parts):
    expected = {"rest": None, "grpc": None, "name": "demo", "version": None, "label": None, **parts}
    assert parse_url(url) == ModelUrl(url.rstrip("/"), **expected)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8501",
        "http://host/v1/models/",
        "http://host/models/demo",
        "grpc://host",
        "http://h/v1/models/d:predict",
        "http://h/v1/models/d?a=1",
        "grpc://h/d#x",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="names no served model"):
        parse_url(url)


def test_a_port_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"grpc://127.0.0.1:99999/demo: port out of range 0-65535\."):
        parse_url("grpc://127.0.0.1:99999/demo")


def test_a_version_beyond_64_bits_is_refused():
    assert parse_url(f"grpc://h:1/demo/versions/{2**63 - 1}").version == str(2**63 - 1)
    with pytest.raises(ValueError, match="names a version beyond 64 bits"):
        parse_url(f"grpc://h:1/demo/versions/{2**63}")


def test_a_password_is_not_shown():
    model = parse_url("http://me:secret@h:1/v1/models/demo")
    assert (model.url, model.rest) == ("http://h:1/v1/models/demo", "http://me:secret@h:1")


@pytest.mark.parametrize(
    "url", ["http://h/v1/models/d mo", "http://\u00fc/v1/models/d", "grpc://h/d\u00e9", "http://h/v1/models/d\r\nX: y", "grpc://h/\ud800"]
)
def test_what_no_url_can_have_is_refused(url):
    with pytest.raises(ValueError, match="has spaces or letters beyond ASCII") as raised:
        parse_url(url)
    assert "\n" not in str(raised.value)


def test_a_url_without_a_host_is_refused():
    with pytest.raises(ValueError, match=r"http://:80/v1/models/demo: it names no host\."):
        parse_url("http://:80/v1/models/demo")
