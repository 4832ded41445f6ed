import io
import logging

import pytest

from components.base.secrets import hide_secrets, secrets_hidden_in_logs


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://din:pa55@db:5432/mlmd is asked", "postgresql://din:***@db:5432/mlmd is asked"),
        ("mysql://din:p@ss@db/mlmd", "mysql://din:***@db/mlmd"),
        ('{"url": "https://:token@host/a"}', '{"url": "https://:***@host/a"}'),
        ("https://hooks.example/x?token=abc&channel=ops", "https://hooks.example/x?token=***&channel=ops"),
        ("s3://bucket/a?X-Amz-Signature=0f&v=1", "s3://bucket/a?X-Amz-Signature=***&v=1"),
        ("http://a:1@b and http://c:2@d", "http://a:***@b and http://c:***@d"),
    ],
)
def test_a_secret_of_a_url_is_hidden(text: str, hidden: str):
    assert hide_secrets(text) == hidden


@pytest.mark.parametrize("text", ["grpc://127.0.0.1:8500", "http://host:80/a@b", "user:password@host", "a?token=1", "https://h/x?monkey=1"])
def test_other_text_stays(text: str):
    assert hide_secrets(text) == text


def test_logs_hide_secrets_in_messages_arguments_and_tracebacks():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tests.secrets")
    logger.addHandler(handler)
    try:
        with secrets_hidden_in_logs():
            logger.warning("connects to %s", "mysql://din:pa55@db/m")
            try:
                raise ValueError("no answer from mysql://din:pa55@db/m")
            except ValueError:
                logger.exception("failed after %d tries", 3)
        logger.warning("%s %d", "unchanged", 5)
    finally:
        logger.removeHandler(handler)
    text = stream.getvalue()
    assert "pa55" not in text
    assert text.count("mysql://din:***@db/m") == 3  # the message, the line of code in the traceback, and the exception
    assert "failed after 3 tries\nTraceback" in text
    assert text.endswith("unchanged 5\n")
