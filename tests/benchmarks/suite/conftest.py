"""Fixtures of the suite's tests."""

import shutil

import pytest

from benchmarks.suite import row_store
from components.base import fingerprint
from tests.conftest import ROOT


@pytest.fixture
def edit_module(tmp_path, monkeypatch):
    """A function that adds a comment to a module, in a copy of the project that fingerprints are taken of."""
    project = tmp_path / "project"
    for package in ("benchmarks", "pipeline", "components", "din_trainer"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "_ROOT", project)
    monkeypatch.setattr(row_store, "_EXPERIMENT", project / "benchmarks" / "quality" / "experiment.py")

    def edit(module):
        with open(project / f"{module.replace('.', '/')}.py", "a") as file:
            file.write("# edited\n")

    return edit
