"""KerasTuner's algorithms, which choose the settings of the trials. The first trial has the configuration's own setting."""

from typing import Any

from keras_tuner import Objective
from keras_tuner.engine import hyperparameters as hp
from keras_tuner.engine import oracle, trial
from keras_tuner.oracles import BayesianOptimizationOracle, RandomSearchOracle

from din_trainer.config import DINConfig
from din_trainer.tuning.search_space import Range, Space, choices_of, is_whole, own_values
from din_trainer.tuning.tuner_config import TunerConfig

OBJECTIVE = "val_auc"


class _OwnFirst(oracle.Oracle):
    """An algorithm whose first trial is given, so that the best one is at least as good."""

    own: dict[str, Any]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if int(trial_id) == 0:
            return {"status": trial.TrialStatus.RUNNING, "values": dict(self.own)}
        return super().populate_space(trial_id)


class _Random(_OwnFirst, RandomSearchOracle):
    pass


class _Bayesian(_OwnFirst, BayesianOptimizationOracle):
    pass


def make_oracle(settings: TunerConfig, config: DINConfig) -> oracle.Oracle:
    """Returns the algorithm of a search. Its trials follow from the seed and from the AUC of earlier trials alone."""
    kind = {"random": _Random, "bayesian": _Bayesian}[settings.algorithm]
    made = kind(
        objective=Objective(OBJECTIVE, "max"),
        max_trials=settings.trials,
        seed=settings.seed + 1,  # KerasTuner takes another seed each time instead of 0
        hyperparameters=_hyperparameters(settings.space, config),
        allow_new_entries=False,
        tune_new_entries=False,
        max_consecutive_failed_trials=settings.trials + 1,  # trials that diverge end no search
    )
    made.own = own_values(config, settings.space)
    made.verbose = 0
    return made


def _hyperparameters(space: Space, config: DINConfig) -> hp.HyperParameters:
    made = hp.HyperParameters()
    for key, entry in space.items():
        if not isinstance(entry, Range):
            made.Choice(key, choices_of(config, key, entry))
        elif is_whole(key):
            made.Int(key, int(entry.min), int(entry.max), sampling=entry.scale)
        else:
            made.Float(key, entry.min, entry.max, sampling=entry.scale)
    return made
