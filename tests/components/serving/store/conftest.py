"""Stores that a workspace publishes into."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import components.serving.store.push as pushing
from tests.components.serving import killing


@pytest.fixture
def without_tensorflow(monkeypatch):
    """Models are text files."""
    monkeypatch.setattr(pushing, "model_digest", killing.weights)
    monkeypatch.setattr(pushing, "describe_signatures", lambda model, name: f"signatures of {name}\n")


@pytest.fixture(params=["s3", "file"])
def store(request, tmp_path):
    """The URL of an empty folder in a store that cannot rename, and in one that can."""
    return f"file://{tmp_path}/store/demo" if request.param == "file" else f"{request.getfixturevalue('bucket')}serving/demo"


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving" / "demo"


@pytest.fixture(params=["memory", "file"])
def quick_store(request, tmp_path):
    """The same, but the objects are in this process, since there are hundreds of writes."""
    if request.param == "file":
        return f"file://{tmp_path}/store/demo"
    MemoryFileSystem.store.clear()
    return "memory://store/demo"
