"""Files that the configuration names and the workspace are checked before a run."""

import numpy as np
import pytest

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from pipeline.run.checks.check_environment import check_named_files, check_workspace


def test_embeddings_are_read_before_a_run(tmp_path, monkeypatch):
    """A relative path starts at the working directory."""
    monkeypatch.chdir(tmp_path)
    np.savez("items.npz", ids=np.arange(3), vectors=np.zeros((3, 8)))
    behaviour = {"candidate": "candidate_item_id", "history": "historical_item_ids", "embeddings": "items.npz"}
    check_named_files(FeatureConfig.model_validate({"behaviours": {"item": {**behaviour, "dim": 8}}}))
    with pytest.raises(InputError, match=r"^items\.npz: `vectors` is \(3, 8\), but 3 ids and dim = 16 need \(3, 16\): set dim to match\.$"):
        check_named_files(FeatureConfig.model_validate({"behaviours": {"item": behaviour}}))
    with pytest.raises(InputError, match=r"^nowhere\.npz is no \.npz"):
        check_named_files(FeatureConfig.model_validate({"user": {"user_id": {"embeddings": "nowhere.npz"}}}))


def test_an_unwritable_workspace(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"workspace cannot be made \(Not a directory\): name another workspace with --workspace\."):
        check_workspace(tmp_path / "file" / "workspace")
