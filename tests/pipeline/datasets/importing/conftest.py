"""A fixture for imports of so few rows that they do not fill all splits."""

import pytest

from pipeline.datasets.importing import import_source as importing


@pytest.fixture
def splits_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set may lack impressions of a split."""
    monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)
