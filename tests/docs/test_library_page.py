"""docs/library.md, run from top to bottom."""

import pytest

from tests.conftest import ROOT
from tests.docs.pages import fenced_blocks

pytestmark = pytest.mark.timeout(900)  # trains, saves and exports several models


def test_its_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = [content for _, language, content in fenced_blocks(ROOT / "docs" / "library.md") if language == "python"]
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), names)
    assert len(blocks) == 9
    assert (tmp_path / "clicks.keras").is_file() and (tmp_path / "clicks_model" / "saved_model.pb").is_file()
