"""The search: which settings its trials have, how it ends, and how it goes on after a kill. The trainings are replaced by a formula."""

import logging
import math
import random

import pytest

from din_trainer.config import DINConfig
from din_trainer.training.progress_log import progress
from din_trainer.training_errors import TrialFailed
from din_trainer.tuning.finished_trials import FinishedTrials
from din_trainer.tuning.search import Search
from din_trainer.tuning.trial import Outcome, Trial
from din_trainer.tuning.tuner_config import TunerConfig

RATE = "training.learning_rate"
SPACE = {RATE: {"min": 1e-4, "max": 1e-2, "scale": "log"}, "model.dropout": [0.0, 0.2], "training.batch_size": {"min": 64, "max": 512}}


def config_of(trial):
    return DINConfig.model_validate_json(trial.config)


def auc_of(config):
    """Best at a learning rate of 10^-2.5 without dropout."""
    return 0.7 - 0.01 * abs(math.log10(config.training.learning_rate) + 2.5) - 0.02 * config.model.dropout


class Trainings:
    """Trains by a formula, and keeps what it was asked for."""

    def __init__(self, killed_at=None, failing=()):
        self.groups = []
        self.killed_at = killed_at
        self.failing = failing

    @property
    def count(self):
        return sum(map(len, self.groups))

    def __call__(self, trials):
        self.groups.append([])
        for trial in trials:
            if self.count == self.killed_at:
                raise KeyboardInterrupt
            self.groups[-1].append(trial)
            logging.getLogger("din_trainer.progress").warning("epoch 1 of %s", "one")
            failed = self.count in self.failing
            yield Outcome(None, 0, 1.0, "Training diverged in epoch 1.") if failed else Outcome(auc_of(config_of(trial)), 1, 1.0)


def search(place, trainings, config=None, **settings):
    made = Search(
        TunerConfig(**{"trials": 8, "space": SPACE, **settings}),
        config or DINConfig(),
        Trial("", "/transform", ["/train"], ["/validation"]),
        FinishedTrials(place / "finished"),
        place / "keras",
        trainings,
    )
    made.search()
    return made


def settings_of(made):
    return [values for values, _ in made.outcomes]


@pytest.fixture
def shown():
    """What the training logs."""
    records = []

    class Handler(logging.Handler):
        def emit(self, record):
            records.append((record.levelname, record.getMessage()))

    handler, level = Handler(), progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    yield records
    progress.removeHandler(handler)
    progress.setLevel(level)


def test_the_first_trial_has_the_configuration_s_own_setting_so_the_best_is_at_least_as_good(tmp_path):
    config = DINConfig.model_validate({"training": {"learning_rate": 0.05, "batch_size": 1000}, "model": {"dropout": 0.1}})
    made = search(tmp_path, Trainings(), config)
    assert settings_of(made)[0] == {RATE: 0.05, "model.dropout": 0.1, "training.batch_size": 1000}  # all three outside the space
    best = made.get_best_hyperparameters()[0].values
    aucs = [outcome.auc for _, outcome in made.outcomes]
    assert made.outcomes[aucs.index(max(aucs))][0][RATE] == best[RATE]
    assert max(aucs) > aucs[0] == auc_of(config)


def test_the_best_of_equal_trials_is_the_first(tmp_path):
    made = search(tmp_path, lambda trials: [Outcome(0.7, 1, 1.0) for _ in trials], trials=5)
    assert made.get_best_hyperparameters()[0].values[RATE] == 0.001


def test_random_trials_follow_from_the_seed_as_keras_tuner_says(tmp_path):
    """A number of a log range is min · (max / min)^u, where u is the first number of Python's generator with the next seed."""
    made = search(tmp_path, Trainings(), trials=4, seed=10, space={RATE: SPACE[RATE]})
    drawn = [1e-4 * 100 ** random.Random(10 + number).random() for number in (1, 2, 3)]
    assert [values[RATE] for values in settings_of(made)] == pytest.approx([0.001, *drawn], rel=1e-12)


BAYESIAN = {"algorithm": "bayesian", "parallel": 2, "trials": 5, "space": {RATE: SPACE[RATE]}}  # the first three are random


@pytest.mark.parametrize("settings", [{}, BAYESIAN], ids=["random", "bayesian"])
def test_the_same_seed_has_the_same_trials_and_another_seed_others(tmp_path, settings):
    one, same, other = (
        search(tmp_path / name, Trainings(), **settings, seed=seed) for name, seed in (("one", 0), ("same", 0), ("other", 1))
    )
    assert one.outcomes == same.outcomes
    assert settings_of(one)[0] == settings_of(other)[0] and settings_of(one)[1:] != settings_of(other)[1:]


def test_bayesian_trials_learn_from_earlier_ones(tmp_path):
    """After three random trials for each key, those of one key are close to the best learning rate, 10^-2.5."""
    made = search(tmp_path, Trainings(), trials=6, algorithm="bayesian", space={RATE: SPACE[RATE]})
    distances = [abs(math.log10(values[RATE]) + 2.5) for values in settings_of(made)]
    assert min(distances[3:]) < 0.05


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("killed_at", [1, 4, 7])
def test_a_search_that_was_killed_goes_on_and_ends_as_one_that_was_not(tmp_path, killed_at, parallel):
    whole = search(tmp_path / "whole", Trainings(), trials=8, parallel=parallel)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "killed", Trainings(killed_at), trials=8, parallel=parallel)
    rest = Trainings()
    resumed = search(tmp_path / "killed", rest, trials=8, parallel=parallel)
    assert rest.count == 8 - killed_at
    assert resumed.outcomes == whole.outcomes
    assert resumed.get_best_hyperparameters()[0].values == whole.get_best_hyperparameters()[0].values


def test_another_configuration_uses_no_outcome_of_a_killed_search_and_more_trials_use_all(tmp_path):
    search(tmp_path, Trainings(), trials=4)
    other, more = Trainings(), Trainings()
    search(tmp_path, other, DINConfig.model_validate({"training": {"seed": 1}}), trials=4)
    search(tmp_path, more, trials=6)
    assert (other.count, more.count) == (4, 2)


def test_trials_run_in_groups_and_have_the_most_epochs_of_a_trial(tmp_path):
    trainings = Trainings()
    search(tmp_path, trainings, trials=7, parallel=3, epochs=2)
    assert [len(group) for group in trainings.groups] == [3, 3, 1]
    assert {config_of(trial).training.epochs for group in trainings.groups for trial in group} == {2}
    few = Trainings()
    search(tmp_path, few, DINConfig.model_validate({"training": {"epochs": 1}}), trials=1, epochs=2)
    assert config_of(few.groups[0][0]).training.epochs == 1


def test_trials_that_diverge_are_no_reason_to_end_and_are_named(tmp_path, shown):
    made = search(tmp_path, Trainings(failing=(1, 2, 3, 4)), trials=6)
    assert [outcome.auc is None for _, outcome in made.outcomes] == [True] * 4 + [False] * 2
    assert made.get_best_hyperparameters()[0].values[RATE] in (values[RATE] for values in settings_of(made)[4:])
    warnings = [text for level, text in shown if level == "WARNING"]
    assert len(warnings) == 4
    assert warnings[0] == (
        "trial 1 (training.learning_rate 0.001, model.dropout 0.1, training.batch_size 256) failed: Training diverged in epoch 1"
    )


def test_a_search_without_any_auc_is_one_sentence(tmp_path):
    with pytest.raises(TrialFailed, match=r"^None of 2 trials has a validation AUC\. The first one: Training diverged in epoch 1\.$"):
        search(tmp_path, Trainings(failing=(1, 2)), trials=2)


def test_values_that_do_not_fit_together_fail_their_trial_without_a_training(tmp_path):
    """The configuration takes each of the values, but no warm-up together with a constant rate."""
    config = DINConfig.model_validate({"training": {"schedule": {"kind": "cosine"}}})
    space = {"training.schedule.kind": ["constant", "cosine"], "training.schedule.warmup_steps": [0, 5]}
    trainings = Trainings()
    made = search(tmp_path, trainings, config, trials=4, space=space)
    failed = {tuple(values.values()): outcome.failed for values, outcome in made.outcomes if outcome.auc is None}
    assert failed == {("constant", 5): "The values do not fit together: warmup_steps belong to kind = 'cosine'."}
    assert (len(made.outcomes), trainings.count) == (4, 3)


def test_a_space_with_few_settings_ends_the_search_early_and_says_so(tmp_path, shown):
    made = search(tmp_path, Trainings(), trials=20, space={"model.dropout": [0.0, 0.2]})
    assert sorted(values["model.dropout"] for values in settings_of(made)) == [0.0, 0.1, 0.2]
    assert ("WARNING", "the search ended after 3 of 20 trials, because it found no other setting in tuner.space") in shown


def test_the_progress_names_the_trial_and_the_best_auc_so_far(tmp_path, shown):
    search(tmp_path, Trainings(), trials=2, space={RATE: SPACE[RATE]})
    own = auc_of(DINConfig())
    assert shown[:2] == [("INFO", "trial 1 of 2"), ("INFO", "trial 1 of 2: epoch 1 of one")]  # the warning is left to the Trainer
    assert shown[2] == ("INFO", f"trial 2 of 2, best AUC {own:.4f}")
    assert shown[-1][1].startswith("2 trials, best validation AUC 0.") and shown[-1][1].endswith(f"own setting {own:.4f}")
    progress.warning("later")
    assert shown[-1] == ("WARNING", "later")
