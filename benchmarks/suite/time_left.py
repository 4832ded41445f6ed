"""How long the rest of a suite will take."""

import statistics

from benchmarks.suite.suite_config import Planned


class TimeLeft:
    """How long the rows that are still missing will take, from those that are there: of the same model on the same data if there are any.

    Args:
        missing: The rows to come.
        seconds: Of finished rows, by data set and model.
    """

    def __init__(self, missing: list[Planned], seconds: list[tuple[str, str, float]]):
        self._missing, self._seconds = list(missing), list(seconds)

    def drop(self, planned: Planned) -> None:
        """It will not be trained."""
        self._missing.remove(planned)

    def finish(self, planned: Planned, seconds: float) -> None:
        self._missing.remove(planned)
        self._seconds.append((planned.data, planned.model, seconds))

    def _of(self, planned: Planned) -> float:
        """The mean of the rows that are most alike."""
        alike = [s for data, model, s in self._seconds if (data, model) == (planned.data, planned.model)]
        nearly = [s for data, _, s in self._seconds if data == planned.data]
        return statistics.mean(alike or nearly or [s for *_, s in self._seconds])

    def __str__(self) -> str:
        if not self._missing:
            return "none left"
        if not self._seconds:
            return f"{len(self._missing)} left"
        seconds = sum(map(self._of, self._missing))
        return f"{len(self._missing)} left, about {f'{seconds:.0f} s' if seconds < 120 else f'{seconds / 60:.0f} min'}"
