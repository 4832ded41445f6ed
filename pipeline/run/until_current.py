"""Which spans `din run --until-current` runs: those that no model was judged on yet, and on request the last one again."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.configuration.pipeline_config import PipelineConfig, SpansConfig
from pipeline.datasets.spans import Span, choose_span, find_spans, ready_spans
from pipeline.records.run_list import read_summaries
from pipeline.run.span_versions import VERSIONS_FILE, SpanVersions, changed_spans, judged_spans


class Waiting(NamedTuple):
    """What is to run.

    Attributes:
        spans: The spans, in the order of their runs.
        notes: Sentences on spans that are not run.
    """

    spans: list[Span]
    notes: list[str]


def waiting_spans(data: Path, config: PipelineConfig, workspace: Path, last: str, rerun_changed: bool) -> Waiting:
    """Finds the spans that wait for a run. A refused model was judged, so its span does not wait any more.

    Args:
        data: The folder with the spans.
        config: The configuration of the runs.
        workspace: The workspace, which need not exist.
        last: The last span to run, as in `choose_span`.
        rerun_changed: Whether the last span that was run waits again, if it or a span of its window has changed since. Older spans do
            not: their model would be compared with one that was trained on the span, and would replace that of a newer span.

    Raises:
        InputError: The data set has no such span, or something else in it.
    """
    spans, settings = find_spans(data), config.spans
    end = choose_span(spans, last, settings.hold_back)
    reached = [span for span in spans if span.number <= end.number and _can_train(spans, span, settings.window)]
    judged = judged_spans(read_summaries(workspace), config.name) if workspace.is_dir() else {}
    waiting = [span for span in reached if span.name not in judged]
    notes = [
        f"{span.name} is held back: spans.hold_back is {settings.hold_back}." for span in spans if _is_held_back(span, spans, settings)
    ]
    if done := [span for span in reached if span.name in judged]:
        versions = SpanVersions(workspace / "checks" / VERSIONS_FILE)
        changed = [span.name for span in changed_spans(spans, judged[done[-1].name], versions)]
        versions.save()
        if changed and rerun_changed:
            waiting = sorted([done[-1], *waiting])
        elif changed:
            notes.append(f"{', '.join(changed)} changed after {done[-1].name} was run: --rerun-changed runs {done[-1].name} again.")
    return Waiting(waiting, notes)


def _can_train(spans: Sequence[Span], newest: Span, window: int) -> bool:
    """Whether there are spans to train on; the first span of a data set has none before it."""
    return not window or any(newest.number - window <= span.number < newest.number for span in spans)


def _is_held_back(span: Span, spans: Sequence[Span], settings: SpansConfig) -> bool:
    return span not in ready_spans(spans, settings.hold_back)
