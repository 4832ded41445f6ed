"""Which spans `din run --until-current` runs: those after the last one that was run, and on request that one again.

Older spans do not wait, even if they were never run: their models would replace that of a newer span. A span whose model was refused counts
as run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.configuration.pipeline_config import PipelineConfig, SpansConfig
from pipeline.datasets.spans import Span, choose_span, find_spans, ready_spans
from pipeline.records.run_list import read_summaries
from pipeline.run.spans.span_versions import VERSIONS_FILE, SpanVersions, changed_spans, judged_spans


class Waiting(NamedTuple):
    """What is to run.

    Attributes:
        spans: The spans, in the order of their runs.
        notes: Sentences on spans that are not run.
    """

    spans: list[Span]
    notes: list[str]


def waiting_spans(data: Path, config: PipelineConfig, workspace: Path, last: str, rerun_changed: bool) -> Waiting:
    """Finds the spans that wait for a run.

    Args:
        data: The folder with the spans.
        config: The configuration of the runs.
        workspace: The workspace, which need not exist.
        last: The last span to run, as in `choose_span`.
        rerun_changed: Whether the last span that was run waits again, if it or a span of its window has changed since.

    Raises:
        InputError: The data set has no such span, or something else in it.
    """
    spans, settings = find_spans(data), config.spans_read
    end = choose_span(spans, last, settings.hold_back)
    reached = [span for span in spans if span.number <= end.number and _can_train(spans, span, settings.window)]
    judged = judged_spans(read_summaries(workspace), config.name) if workspace.is_dir() else {}
    last_run = max((span for span in spans if span.name in judged), default=None)
    waiting = [span for span in reached if last_run is None or span > last_run]
    notes = [
        f"{span.name} is held back: spans.hold_back is {settings.hold_back}." for span in spans if _is_held_back(span, spans, settings)
    ]
    if last_run is None:
        alone = [span for span in spans if span.number <= end.number and span not in reached]
        only_learnt = [f"{span.name} is not judged, because no span in the window of {settings.window} is before it." for span in alone]
        return Waiting(waiting, [*only_learnt, *notes])
    versions = SpanVersions(workspace / "checks" / VERSIONS_FILE)
    changed = ", ".join(span.name for span in changed_spans(spans, judged[last_run.name], versions))
    versions.save()
    if changed and rerun_changed:
        return Waiting([last_run, *waiting], notes)
    if changed:
        notes.append(f"Changed since the run on {last_run.name} read it: {changed}. --rerun-changed runs {last_run.name} again.")
    return Waiting(waiting, notes)


def _can_train(spans: Sequence[Span], newest: Span, window: int) -> bool:
    """Whether there are spans to train on; the first span of a data set has none before it."""
    return not window or any(newest.number - window <= span.number < newest.number for span in spans)


def _is_held_back(span: Span, spans: Sequence[Span], settings: SpansConfig) -> bool:
    return span not in ready_spans(spans, settings.hold_back)
