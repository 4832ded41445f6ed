"""Trials in processes of their own, several at a time: `python -m din_trainer.tuning.trial_process FOLDER NUMBER` runs one."""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from din_trainer.devices import take_card
from din_trainer.training.child_process import end_with_parent, start_child, stop_child
from din_trainer.training_errors import TrialFailed
from din_trainer.tuning.trial import Outcome, Trial, run_trial

_TRIAL, _OUTCOME, _ERROR = "trial.json", "outcome.json", "error.json"


def run_trials(trials: Sequence[Trial]) -> Iterator[Outcome]:
    """Runs trials: a single one in this process, several at the same time in processes of their own. Yields their outcomes in order.

    Raises:
        ValueError: As `run_trial`.
        TrialFailed: A process fails otherwise.
    """
    if len(trials) == 1:
        yield run_trial(trials[0])
        return
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trial-"))) for _ in trials]
        processes = []
        for number, (trial, folder) in enumerate(zip(trials, folders, strict=True)):
            (folder / _TRIAL).write_text(json.dumps(trial))
            processes.append(start_child("din_trainer.tuning.trial_process", str(folder), str(number), of=len(trials)))
            stack.callback(stop_child, processes[-1])
        for process, folder in zip(processes, folders, strict=True):
            yield _outcome(process, folder)


def _outcome(process: subprocess.Popen[bytes], folder: Path) -> Outcome:
    """Waits for the outcome of a process."""
    code = process.wait()
    if (folder / _ERROR).exists():
        kind, message = json.loads((folder / _ERROR).read_text())
        if kind == ValueError.__name__:
            raise ValueError(message)
        raise TrialFailed(f"The process of a trial failed with {kind}: {message.partition(chr(10))[0]}")
    if code:
        raise TrialFailed(f"The process of a trial ended with exit code {code}, as when memory is short: lower tuner.parallel.")
    return Outcome(*json.loads((folder / _OUTCOME).read_text()))


if __name__ == "__main__":
    end_with_parent()
    _folder = Path(sys.argv[1])
    try:
        take_card(int(sys.argv[2]))
        _done = run_trial(Trial(*json.loads((_folder / _TRIAL).read_text())))
        (_folder / _OUTCOME).write_text(json.dumps(_done))
    except Exception as error:
        logging.exception("a trial failed")
        (_folder / _ERROR).write_text(json.dumps([type(error).__name__, str(error)]))
        sys.exit(1)
