"""The outcomes of finished trials in a folder, so that a search that was killed goes on from them."""

import json
import os
import shutil
from pathlib import Path

from din_trainer.tuning.trial import Outcome, Trial


class FinishedTrials:
    """Outcomes by what the trials trained. Each is one small file, written whole or not at all.

    Args:
        folder: It is made if it does not exist.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, trial: Trial) -> Outcome | None:
        """Returns the outcome of a trial; None if it has not finished."""
        try:
            return Outcome(*json.loads(self._file(trial).read_text()))
        except FileNotFoundError:
            return None

    def put(self, trial: Trial, outcome: Outcome) -> None:
        """Keeps the outcome of a trial."""
        part = self._file(trial).with_suffix(".part")
        part.write_text(json.dumps(outcome))
        os.replace(part, self._file(trial))

    def forget(self) -> None:
        """Removes the folder, when the result of the whole search is kept elsewhere."""
        shutil.rmtree(self._folder)

    def _file(self, trial: Trial) -> Path:
        return self._folder / f"{trial.fingerprint}.json"
