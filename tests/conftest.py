"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[1]
SHARED_FIXTURES = ("small_export", "export_of_every_kind", "every_kind_output", "two_days")  # of the session; each takes seconds to make
SHARED = Path(os.environ.get("DIN_SHARED", ROOT.parent / "shared"))


class BySharedFixtures(LoadScopeScheduling):
    """Gives a process of pytest-xdist whole files, and all files that share an expensive fixture, so that it is made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.startswith("tests/e2e/") and "(runs" in text:
            return "runs"
        return next((fixture for fixture in SHARED_FIXTURES if fixture in text), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharedFixtures:
    return BySharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest tests: whole pipelines. Among those, what changes the shared workspace comes last."""
    items.sort(
        key=lambda item: (
            "e2e" not in item.path.parts,
            "runs" not in item.fixturenames,
            item.get_closest_marker("changes_runs") is not None,
        )
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, which is not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data in {SHARED / 'data'} (set DIN_SHARED)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def small_export(tmp_path_factory):
    """An export with categorical features, numbers and two sequences, its model and Transform's output; not to be written to."""
    from benchmarks.exports.small_export import make_small_export

    return make_small_export(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def export_of_every_kind(tmp_path_factory):
    """An export with every kind of feature in every role and two labels; not to be written to."""
    from benchmarks.exports.small_export import make_export_of_every_kind

    return make_export_of_every_kind(tmp_path_factory.mktemp("every_kind"))


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of an S3 server of this machine."""
    from tests.object_store import s3_server

    with s3_server() as url:
        yield url


_BUCKETS = count(1)


@pytest.fixture
def bucket(s3_url, monkeypatch) -> Path:
    """A new bucket of an S3 server of this machine, as a path; the environment has the credentials."""
    from components.base.stores import named_path
    from tests.object_store import credentials

    for name, value in credentials(s3_url).items():
        monkeypatch.setenv(name, value)
    place = named_path(f"s3://bucket-{next(_BUCKETS)}")
    place.fs.mkdir(place.path)
    return place
