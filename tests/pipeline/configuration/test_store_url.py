"""`metadata.url`: what the parts of a database's URL mean, and that a password stays out of what is written or printed."""

import json

import pytest

from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.configuration.store_url import StoreUrl, parse_store_url


@pytest.mark.parametrize(
    ("url", "parts", "public"),
    [
        (
            "postgresql://din@db/mlmd",
            StoreUrl("postgresql", "din", None, "db", 5432, "", "mlmd"),
            "postgresql://din@db:5432/mlmd",
        ),
        (
            "postgresql://din:a%20b%27c%40@10.0.0.7:6000/mlmd",
            StoreUrl("postgresql", "din", "a b'c@", "10.0.0.7", 6000, "", "mlmd"),
            "postgresql://din@10.0.0.7:6000/mlmd",
        ),
        (
            "postgresql://din@/mlmd?host=/run/postgresql",
            StoreUrl("postgresql", "din", None, "", 5432, "/run/postgresql", "mlmd"),
            "postgresql://din@:5432/mlmd?host=/run/postgresql",
        ),
        ("mysql://din:x@[::1]/mlmd", StoreUrl("mysql", "din", "x", "::1", 3306, "", "mlmd"), "mysql://din@[::1]:3306/mlmd"),
        (
            "mysql://din:@/mlmd?socket=/run/my.sock",
            StoreUrl("mysql", "din", "", "", 3306, "/run/my.sock", "mlmd"),
            "mysql://din@:3306/mlmd?socket=/run/my.sock",
        ),
    ],
)
def test_the_parts_of_a_url(url, parts, public):
    assert parse_store_url(url) == parts
    assert parts.public == public
    assert parse_store_url(public) == parts._replace(password=None)


@pytest.mark.parametrize("database", ["ml-md", "mlmd"])
def test_a_password_is_in_no_message_and_no_configuration_file(database):
    setting = f"metadata.url=postgresql://din:pass word@db/{database}"
    if database == "ml-md":
        with pytest.raises(InputError, match=r"^--set metadata\.url=…: metadata\.url: its database must be a name of letters") as error:
            load_config(None, [setting])
        assert "pass word" not in str(error.value)
    else:
        config = load_config(None, [setting])
        assert json.loads(config.model_dump_json())["metadata"] == {"url": "postgresql://din@db:5432/mlmd"}
        assert config.metadata.url == "postgresql://din:pass word@db/mlmd"
