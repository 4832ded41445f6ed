"""`docs/inspect.ipynb`, executed as its readers do it."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT


def execute(workspace, monkeypatch):
    """The texts that each code cell shows, by the cell's id."""
    monkeypatch.setenv("DIN_WORKSPACE", str(workspace))
    notebook = nbformat.read(ROOT / "docs" / "inspect.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "it is stored without outputs"
    NotebookClient(notebook, timeout=300).execute()
    return {cell.id: [out["data"]["text/plain"] for out in cell.outputs if "data" in out] for cell in cells}


def row(table, name):
    """The numbers in a row of a table."""
    return [float(cell) for cell in next(line for line in table.splitlines() if line.split()[0] == name).split()[1:]]


def test_shows_the_latest_run_s_evaluation(runs, monkeypatch):
    shown = execute(runs.workspace, monkeypatch)
    summary = json.loads((runs.workspace / "latest.json").read_text())
    (overall,) = shown["overall"]
    assert summary["tfma_path"] in shown["open"][0]
    assert row(overall, "auc") == pytest.approx([summary["metrics"]["auc"], summary["baseline"]["metrics"]["auc"]], abs=1e-5)
    assert row(overall, "log_loss") == pytest.approx([summary["metrics"]["log_loss"], summary["baseline"]["metrics"]["log_loss"]], abs=1e-5)
    assert row(overall, "example_count") == [summary["examples"]["eval"]] * 2
    assert "historical_item_ids_length=6-10" in shown["slices"][0]
