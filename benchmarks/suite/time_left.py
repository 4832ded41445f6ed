"""Estimates how long the rest of a suite will take."""

import statistics

from benchmarks.suite.suite_config import Planned


class TimeLeft:
    """The time that the missing rows will take, estimated from finished rows: from the same model on the same data if there are any.

    Args:
        missing: The rows that are not trained yet.
        seconds: The data set, the model and the seconds of each finished row.
    """

    def __init__(self, missing: list[Planned], seconds: list[tuple[str, str, float]]):
        self._missing, self._seconds = list(missing), list(seconds)

    def drop(self, planned: Planned) -> None:
        """Removes a row that will not be trained."""
        self._missing.remove(planned)

    def finish(self, planned: Planned, seconds: float) -> None:
        """Records that a row was trained."""
        self._missing.remove(planned)
        self._seconds.append((planned.data, planned.model, seconds))

    def _of(self, planned: Planned) -> float:
        """Returns the mean seconds of the most similar rows."""
        of_model = [s for data, model, s in self._seconds if (data, model) == (planned.data, planned.model)]
        of_data = [s for data, _, s in self._seconds if data == planned.data]
        return statistics.mean(of_model or of_data or [s for *_, s in self._seconds])

    def __str__(self) -> str:
        if not self._missing:
            return "none left"
        if not self._seconds:
            return f"{len(self._missing)} left"
        seconds = sum(map(self._of, self._missing))
        return f"{len(self._missing)} left, about {f'{seconds:.0f} s' if seconds < 120 else f'{seconds / 60:.0f} min'}"
