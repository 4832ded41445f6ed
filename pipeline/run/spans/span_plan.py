"""Which spans a run reads: the newest one, which is judged, and those of the window before it, which are trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.configuration.pipeline_config import SpansConfig
from pipeline.datasets.spans import Span, choose_span, find_spans, missing_names, spans_before


class SpanPlan(NamedTuple):
    """The spans of a run.

    Attributes:
        newest: The span that is judged.
        before: The spans of the window, oldest first. Empty: the newest span is trained on, too, and has splits or is split by time.
        window: The size of the window; 0: there is none.
    """

    newest: Span
    before: tuple[Span, ...] = ()
    window: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans that are read, oldest first."""
        return (*self.before, self.newest)

    @property
    def has_own_splits(self) -> bool:
        """Whether the run reads the splits of the newest span, as it reads any other data set."""
        return not self.window and self.newest.has_splits

    @property
    def judges_all(self) -> bool:
        """Whether all impressions of the newest span are judged, as the metrics of its manifest are."""
        return bool(self.before) and not self.newest.has_splits

    @property
    def names(self) -> dict[str, object]:
        """The names of the spans by split, for the summary."""
        if not self.before:
            return dict.fromkeys(("train", "validation", "eval"), self.newest.name) | {"train": [self.newest.name]}
        return {"train": [span.name for span in self.before], "validation": self.before[-1].name, "eval": self.newest.name}

    def notes(self) -> list[str]:
        """A sentence on the spans that the window lacks."""
        if not self.before:
            return []
        there = f"the window of {self.window} before {self.newest.name}"
        found = [f"{name} is missing in {there}." for name in missing_names(self.newest, self.before)]
        if self.newest.number - self.before[0].number < self.window:
            found.append(f"The data begins within {there}: its oldest span is {self.before[0].name}.")
        return found


def plan_spans(data: Path, asked: str, settings: SpansConfig) -> SpanPlan:
    """Finds the spans of a run.

    Args:
        data: The folder with the spans.
        asked: As in `choose_span`.
        settings: The window, and for how long spans are held back.

    Raises:
        InputError: There is no such span, or nothing to train on, or the folder holds something else.
    """
    spans = find_spans(data)
    return plan_span(spans, choose_span(spans, asked, settings.hold_back), settings.window)


def plan_span(spans: Sequence[Span], newest: Span, window: int) -> SpanPlan:
    """Returns the plan of a run whose newest span is known.

    Raises:
        DataError: There is nothing to train on.
    """
    return SpanPlan(newest, tuple(spans_before(spans, newest, window)) if window else (), window)
