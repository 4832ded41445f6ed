"""Finds spans whose files changed after a run judged a model on them: data that comes late makes a new version of a span."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from components.base.atomic_files import write_whole
from components.base.errors import DataError
from components.base.shards import SPAN_SPLIT, ShardState, hash_shard, split_fingerprint
from pipeline.datasets.spans import Span, find_spans
from pipeline.records.run_list import read_summaries
from pipeline.records.summary import Status, Summary
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.spans.span_plan import SpanPlan

VERSIONS_FILE = "spans.json"  # in the workspace's folder `checks`

_JUDGED: tuple[Status, ...] = ("pushed", "unchanged", "refused")  # a run that ended so has judged a model


class _Known(BaseModel):
    states: dict[str, ShardState]
    fingerprint: str


_KNOWN = TypeAdapter(dict[str, _Known])


class SpanVersions:
    """The fingerprints of spans. Files are read only if they have changed.

    Args:
        file: Where the fingerprints are kept from run to run. A file that cannot be read is as good as none.
    """

    def __init__(self, file: Path):
        self._file = file
        self._known: dict[str, _Known] = {}
        if file.is_file():
            try:
                self._known = _KNOWN.validate_json(file.read_bytes())
            except (OSError, ValidationError):
                self._known = {}

    def fingerprint(self, span: Span, hashes: Mapping[Path, str] | None = None) -> str:
        """Returns the fingerprint of a span, as that of ImportExampleGen; empty if the span has no files or cannot be read.

        Args:
            span: The span.
            hashes: Hashes of files that were just read.
        """
        known = hashes or {}
        try:
            shards = span.shards()
            states = {shard.relative_to(span.folder).as_posix(): ShardState.of(shard) for shard in shards}
            found = self._known.get(str(span.folder))
            if found is None or found.states != states:
                read = [known.get(shard) or hash_shard(shard) for shard in shards]
                found = self._known[str(span.folder)] = _Known(states=states, fingerprint=split_fingerprint(SPAN_SPLIT, read))
        except (DataError, OSError):
            return ""
        return found.fingerprint

    def save(self) -> None:
        """Keeps the fingerprints for later runs."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, [json.dumps({folder: known.model_dump() for folder, known in self._known.items()})])


def judged_spans(runs: Iterable[Summary], name: str) -> dict[str, Summary]:
    """Returns, by the name of a span, the last run of a configuration that judged a model on it."""
    return {str(run.span): run for run in runs if run.name == name and run.span and run.status in _JUDGED}


def changed_spans(spans: Iterable[Span], run: Summary, versions: SpanVersions) -> list[Span]:
    """Returns the spans whose files are not those that a run read."""
    read = run.span_fingerprints or {}
    return [span for span in spans if span.name in read and versions.fingerprint(span) != read[span.name]]


def record_spans(summary: Summary, plan: SpanPlan, facts: DataFacts, workspace: Path) -> None:
    """Writes the counts and fingerprints of the spans of a run into its summary, and notes on spans that changed after they were read.

    Args:
        summary: It is changed.
        plan: The spans of the run.
        facts: What was found in them.
        workspace: The workspace of the run.
    """
    versions = SpanVersions(workspace / "checks" / VERSIONS_FILE)
    summary.span_fingerprints = {span.name: versions.fingerprint(span, facts.hashes) for span in plan.spans}
    summary.span_examples = {plan.newest.name: sum(facts.examples.values())} if plan.has_own_splits else facts.examples
    runs = [run for run in read_summaries(workspace) if run.name == summary.name and run.status in _JUDGED]
    last_read = {name: run for run in runs for name in run.span_fingerprints or {}}
    for span in find_spans(plan.newest.folder.parent):
        if span.name in last_read and changed_spans([span], last_read[span.name], versions):
            then = (
                "this run reads its new files" if span in plan.spans else "only a window that has it (--window) learns from its new files"
            )
            summary.notes.append(f"{span.name} has changed since run {last_read[span.name].run_id} read it: {then}.")
    versions.save()


def unfair_comparison(summary: Summary, plan: SpanPlan | None, workspace: Path) -> list[str]:
    """Sentences on a version that is served: it has learnt from the span that a run judges on, or it is the model of a newer span."""
    pushed = [run for run in read_summaries(workspace) if run.name == summary.name and run.pushed_version == summary.stable_at_start]
    if summary.stable_at_start is None or plan is None or not pushed:
        return []
    served, notes = f"Version {summary.stable_at_start}, which is served,", []
    if plan.newest.name in (pushed[0].spans or {}).get("train", []):
        notes.append(
            f"{served} has learnt from {plan.newest.name}: on this span its metrics are better than on a new one, so the comparison is "
            "not fair."
        )
    if any(span.name == pushed[0].span and span > plan.newest for span in find_spans(plan.newest.folder.parent)):
        notes.append(f"{served} is the model of {pushed[0].span}: a push replaces it by the model of an older span, {plan.newest.name}.")
    return notes
