"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("DIN_SHARED", ROOT.parent / "shared"))


def _group(item: pytest.Item) -> str:
    """Tests of one group run in one process of pytest-xdist, one after the other, so that they share fixtures."""
    if "e2e" in item.path.parts and "runs" in item.fixturenames:
        return "e2e runs"
    if "small_export" in item.fixturenames:
        return "small export"
    return str(item.path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups the tests, and begins with the longest: whole pipelines. Among those, what changes the shared workspace comes last."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
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
    """An export with every kind of feature, its model and Transform's output; not to be written to."""
    from benchmarks.exports.small_export import make_small_export

    return make_small_export(tmp_path_factory.mktemp("small"))
