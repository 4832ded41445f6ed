"""The search: KerasTuner chooses the settings, and each trial trains with one of them. It works without TFX."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_tuner.engine import trial as keras_trial
from keras_tuner.engine.base_tuner import BaseTuner
from pydantic import ValidationError

from din_trainer.config import DINConfig
from din_trainer.training.progress_log import progress
from din_trainer.training_errors import TrialFailed
from din_trainer.tuning.finished_trials import FinishedTrials
from din_trainer.tuning.oracles import OBJECTIVE, make_oracle
from din_trainer.tuning.search_space import Values, plain, values_text, with_values
from din_trainer.tuning.trial import Outcome, Trial
from din_trainer.tuning.trial_process import run_trials
from din_trainer.tuning.tuner_config import TunerConfig

Run = Callable[[Sequence[Trial]], Iterable[Outcome]]


class Search(BaseTuner):
    """A tuner of KerasTuner that trains trials as a Trainer trains. They start in groups of `parallel`, and a group ends as a whole.

    So the trials follow from the seed and the AUC of earlier groups alone, and not from which trial is quicker. After a kill, the next
    search chooses the same settings again, and takes the outcomes of finished trials from `finished`.

    Args:
        settings: The search.
        config: The configuration whose keys are searched.
        data: A trial without its configuration: the data of all trials.
        finished: Where outcomes are kept.
        directory: Where KerasTuner writes its own state, which nothing reads.
        run: Trains trials at the same time, and yields their outcomes in order.

    Attributes:
        outcomes: The values and the outcome of each trial, in the order of the trials.
    """

    def __init__(
        self, settings: TunerConfig, config: DINConfig, data: Trial, finished: FinishedTrials, directory: Path, run: Run = run_trials
    ):
        super().__init__(make_oracle(settings, config), directory=str(directory), project_name="search", overwrite=True)
        self._settings = settings
        self._config = config
        self._data = data
        self.finished = finished
        self._run = run
        self.outcomes: list[tuple[dict[str, Any], Outcome]] = []

    def search(self) -> None:
        """Runs all trials.

        Raises:
            TrialFailed: No trial has an AUC, or the process of one fails.
            ValueError: As `run_trial`.
        """
        while group := self._next_group():
            values = [trial.hyperparameters.values for trial in group]
            for trial, setting, outcome in zip(group, values, self._train(values), strict=True):
                self._end(trial, outcome)
                self.outcomes.append((plain(setting), outcome))
        self._report()

    def _next_group(self) -> list[keras_trial.Trial]:
        asked = (self.oracle.create_trial(f"tuner{number}") for number in range(self._settings.parallel))
        return [trial for trial in asked if trial.status == keras_trial.TrialStatus.RUNNING]

    def _train(self, settings: Sequence[Values]) -> list[Outcome]:
        """Returns the outcome of each setting; trials run for those that have none yet."""
        first = len(self.outcomes) + 1
        outcomes: dict[int, Outcome] = {}
        missing: dict[int, Trial] = {}
        for number, values in enumerate(settings, first):
            trial = self._trial(values)
            if outcome := trial if isinstance(trial, Outcome) else self.finished.get(trial):
                outcomes[number] = outcome
            elif isinstance(trial, Trial):
                missing[number] = trial
        if missing:
            with self._shown(list(missing)):
                for (number, trial), outcome in zip(missing.items(), self._run(list(missing.values())), strict=True):
                    self.finished.put(trial, outcome)
                    outcomes[number] = outcome
        return [outcomes[number] for number in sorted(outcomes)]

    def _trial(self, values: Values) -> Trial | Outcome:
        """The trial with a setting; its outcome if the configuration refuses the setting, which may be a pair of values."""
        try:
            config = with_values(self._config, values)
        except ValidationError as error:
            return Outcome(None, 0, 0.0, f"The values do not fit together: {error.errors()[0]['msg'].removeprefix('Value error, ')}.")
        if self._settings.epochs is not None:
            epochs = min(self._settings.epochs, config.training.epochs)
            config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})
        return self._data._replace(config=config.model_dump_json())

    def _end(self, trial: keras_trial.Trial, outcome: Outcome) -> None:
        if outcome.auc is None:
            trial.status, trial.message = keras_trial.TrialStatus.FAILED, outcome.failed
        else:
            self.oracle.update_trial(trial.trial_id, {OBJECTIVE: outcome.auc}, step=outcome.epoch)
            trial.status = keras_trial.TrialStatus.COMPLETED
        self.oracle.end_trial(trial)

    @contextmanager
    def _shown(self, numbers: Sequence[int]) -> Iterator[None]:
        """Puts the numbers of trials, and the best AUC so far, before what their training logs. A warning is for the Trainer to repeat."""
        best = max((outcome.auc for _, outcome in self.outcomes if outcome.auc is not None), default=None)
        so_far = f", best AUC {best:.4f}" if best is not None else ""
        head = f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))} of {self._settings.trials}{so_far}"

        def with_head(record: logging.LogRecord) -> bool:
            record.msg, record.args = f"{head}: {record.getMessage()}", None
            record.levelno, record.levelname = logging.INFO, "INFO"
            return True

        progress.info("%s", head)
        progress.addFilter(with_head)
        try:
            yield
        finally:
            progress.removeFilter(with_head)

    def _report(self) -> None:
        """Logs how the search ended."""
        asked, count = self._settings.trials, len(self.outcomes)
        aucs = {number: outcome.auc for number, (_, outcome) in enumerate(self.outcomes, 1) if outcome.auc is not None}
        if not aucs:
            raise TrialFailed(f"None of {count} trials has a validation AUC. The first one: {self.outcomes[0][1].failed}")
        for number, (values, outcome) in enumerate(self.outcomes, 1):
            if outcome.failed:
                progress.warning("trial %d (%s) failed: %s", number, values_text(values), outcome.failed.removesuffix("."))
        if count < asked:
            progress.warning("the search ended after %d of %d trials, because it found no other setting in tuner.space", count, asked)
        best = max(aucs, key=lambda number: aucs[number])
        own = f"{aucs[1]:.4f}" if 1 in aucs else "none"
        progress.info("%d trials, best validation AUC %.4f in trial %d, own setting %s", count, aucs[best], best, own)
