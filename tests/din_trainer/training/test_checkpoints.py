"""A killed training continues where it was killed, and ends with the weights that it would have had."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from din_trainer.training.checkpoints import only_folder
from tests.din_trainer.training.killed_training import EPOCHS, SAVES, train_in

WITHIN_THE_FIRST_EPOCH, AFTER_THE_LAST_BATCH = 2, 2 * SAVES - 1  # saves done when the training is killed


@pytest.fixture(scope="module")
def uninterrupted():
    return train_in(None)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a training by the number of saves after which it was killed."""
    parent = tmp_path_factory.mktemp("killed")
    folders = {saves: parent / str(saves) for saves in (AFTER_THE_LAST_BATCH, WITHIN_THE_FIRST_EPOCH)}
    arguments = [str(x) for saves, folder in folders.items() for x in (folder, saves)]
    command = [sys.executable, "-m", "tests.din_trainer.training.killed_training", *arguments]
    process = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[3])
    assert process.returncode == -9, process.stderr.decode()[-2000:]
    return folders


@pytest.mark.parametrize("saves", [WITHIN_THE_FIRST_EPOCH, AFTER_THE_LAST_BATCH])
def test_a_killed_training_ends_with_the_weights_it_would_have_had(saves, killed, uninterrupted):
    resumed = train_in(killed[saves])
    assert len(resumed.epochs) == EPOCHS - (saves - 1) // SAVES
    assert len(uninterrupted.model.weights) == len(resumed.model.weights) > 20
    for ours, theirs in zip(resumed.model.weights, uninterrupted.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
    assert resumed.epochs[-1]["val_auc"] == uninterrupted.epochs[-1]["val_auc"]
    assert not killed[saves].exists()  # nothing is left to continue from


def test_one_training_s_checkpoints_replace_another_s(tmp_path):
    (tmp_path / "old" / "last").mkdir(parents=True)
    (tmp_path / "same").mkdir()
    assert only_folder(tmp_path, "same") == tmp_path / "same"
    assert [file.name for file in tmp_path.iterdir()] == ["same"]
