"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("DIN_SHARED", ROOT.parent / "shared"))


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
