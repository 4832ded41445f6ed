"""A trial is the training of a Trainer, and has the same outcome in this process as in one of its own."""

import json
import subprocess

import pytest
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.training.fit import fit
from din_trainer.training_errors import TrainingDiverged, TrialFailed
from din_trainer.tuning import trial as trial_module
from din_trainer.tuning.finished_trials import FinishedTrials
from din_trainer.tuning.trial import Outcome, Trial, run_trial
from din_trainer.tuning.trial_process import _outcome, run_trials
from tests.din_trainer.training.workers.fitting import FEATURES, MODEL, prepare


@pytest.fixture(scope="module")
def make_trial(tmp_path_factory):
    """A function that makes a trial with other values of training, on a small data set."""
    folder = tmp_path_factory.mktemp("data")
    prepare(folder)
    files = [[str(file) for file in sorted(folder.glob(f"{split}-*"))] for split in ("train", "validation")]

    def make(**training):
        settings = {"batch_size": 64, "epochs": 3, "patience": 9, **training}
        config = DINConfig.model_validate({"features": FEATURES, "model": MODEL, "training": settings})
        return Trial(config.model_dump_json(), str(folder / "graph"), *files)

    return make


def test_the_outcome_is_the_best_epoch_of_the_same_training(make_trial):
    made = make_trial()
    epochs = fit(DINConfig.model_validate_json(made.config), tft.TFTransformOutput(made.transform_output), *made[2:]).epochs
    aucs = [epoch["val_auc"] for epoch in epochs]
    outcome = run_trial(made)
    assert outcome.auc == pytest.approx(max(aucs), abs=1e-6)
    assert (outcome.epoch, outcome.failed) == (1 + aucs.index(max(aucs)), "")


def test_processes_of_their_own_have_the_outcome_of_this_process(make_trial):
    trials = [make_trial(learning_rate=rate) for rate in (0.001, 0.01)]
    here = [outcome for trial in trials for outcome in run_trials([trial])]
    there = list(run_trials(trials))
    assert [(outcome.epoch, outcome.failed) for outcome in there] == [(outcome.epoch, outcome.failed) for outcome in here]
    assert [outcome.auc for outcome in there] == pytest.approx([outcome.auc for outcome in here], abs=1e-6)
    assert here[0].auc != here[1].auc


def test_a_training_that_diverges_is_an_outcome(make_trial, monkeypatch):
    def diverge(*arguments):
        raise TrainingDiverged("Training diverged in epoch 2: the loss is nan.")

    monkeypatch.setattr(trial_module, "fit", diverge)
    outcome = run_trial(make_trial())
    assert (outcome.auc, outcome.epoch, outcome.failed) == (None, 0, "Training diverged in epoch 2: the loss is nan.")


@pytest.mark.parametrize(
    ("error", "command", "kind", "why"),
    [
        (["ValueError", "an embedding file has 3 columns"], ["false"], ValueError, "an embedding file has 3 columns"),
        (["OSError", "no space\nleft"], ["false"], TrialFailed, "The process of a trial failed with OSError: no space"),
        (None, ["sh", "-c", "kill -9 $$"], TrialFailed, "ended with exit code -9, as when memory is short: lower tuner.parallel."),
    ],
)
def test_a_process_that_fails_ends_the_search_with_one_sentence(tmp_path, error, command, kind, why):
    if error:
        (tmp_path / "error.json").write_text(json.dumps(error))
    with pytest.raises(kind) as raised:
        _outcome(subprocess.Popen(command), tmp_path)
    assert str(raised.value).endswith(why)


def test_outcomes_are_kept_by_what_the_trial_trains(tmp_path, make_trial):
    finished, outcome = FinishedTrials(tmp_path / "a" / "b"), Outcome(0.7, 2, 1.5)
    finished.put(make_trial(), outcome)
    again = FinishedTrials(tmp_path / "a" / "b")
    assert again.get(make_trial()) == outcome
    assert again.get(make_trial(learning_rate=0.5)) is None
    assert again.get(make_trial()._replace(validation_files=["other"])) is None
    again.forget()
    assert not (tmp_path / "a" / "b").exists()
