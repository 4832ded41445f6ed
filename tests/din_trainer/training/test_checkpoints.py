"""A killed training continues where it was killed, and ends with the weights that it would have had."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.checkpoints import only_folder
from din_trainer.training.loop import seed_everything, train
from tests.din_trainer.batches import SIZES, make_dataset
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


def test_a_killed_warm_training_goes_on_with_its_own_moments():
    """The moments of the start model are for the first step alone: the second process does not take them over again."""
    with_start, killed_with_start = warm_training(), warm_training(killed_in_epoch=1)
    assert int(with_start.optimizer.iterations) == 500 + 2 * 5
    for ours, theirs in zip(killed_with_start.weights, with_start.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def warm_training(killed_in_epoch=None):
    """A training that begins with moments; it may be killed and started again."""
    config = DINConfig.model_validate({"model": {"kind": "lr"}, "training": {"epochs": 2, "patience": 9, "deterministic": True}})

    def take_moments(optimizer):
        optimizer.iterations.assign(500)
        for variable in (*optimizer._momentums, *optimizer._velocities):
            variable.assign(np.full(variable.shape, 0.01))

    def start(folder, killed):
        def epoch(number):
            if number == killed:
                raise KeyboardInterrupt
            return make_dataset(300, 1, shuffle=number)

        seed_everything(5, deterministic=True)
        return train(make_model(config, SIZES), epoch, make_dataset(300, 2), None, folder, take_moments=take_moments).model

    with tempfile.TemporaryDirectory() as folder:
        if killed_in_epoch is not None:
            with pytest.raises(KeyboardInterrupt):
                start(Path(folder) / "checkpoints", killed_in_epoch)
        return start(Path(folder) / "checkpoints", None)
