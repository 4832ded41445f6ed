"""A failed export is reported."""

import sys
from pathlib import Path

import pytest

from benchmarks.speed import serving_exports
from components.base.errors import InputError


def test_an_export_that_fails_is_named_with_its_error(monkeypatch, tmp_path):
    monkeypatch.setattr(serving_exports, "WORKERS", tmp_path)
    for script in ("our_exports.py", "plain_keras_din.py", "deepctr_export.py"):
        (tmp_path / script).write_text("import sys; sys.exit('out of luck' if 'deepctr' in sys.argv[0] else 0)")
    with pytest.raises(InputError, match="export of DeepCTR failed: out of luck"):
        serving_exports.make_exports(tmp_path, Path(sys.executable))
