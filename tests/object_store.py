"""An S3 of this machine for tests: moto's server on loopback, in a thread of the test's process."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Runs the server. Yields its URL."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would print each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def credentials(url: str) -> dict[str, str]:
    """The environment of a process that uses the server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "din-tests",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-store",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def copy_tree(source: Path, target: Path) -> Path:
    """Copies a folder into a store. Returns the target."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        (target / file.relative_to(source).as_posix()).write_bytes(file.read_bytes())
    return target
