"""One run, from its configuration to its summary: what `din run` does, without the printing."""

import hashlib
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from components.base import beam_engine
from components.base.errors import InputError
from components.base.fingerprint import source_fingerprint
from components.base.tfx_pins import quick_imports
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets import synthetic
from pipeline.datasets.manifest import MANIFEST, differing_counts, read_oracle, read_oracle_by_label
from pipeline.records.run_list import LOG_FILE, METADATA_FILE, claim_pushed, record_killed
from pipeline.records.summary import Summary
from pipeline.report.content import CONFIG_FILE
from pipeline.run.checks.check_environment import check_gate, check_named_files, check_serving_store, silent_servers
from pipeline.run.checks.check_impressions import DataFacts, check_data, check_spans, check_unchanged
from pipeline.run.checks.cut_values import cut_notes
from pipeline.run.ending.afterwards import clean_up, tell_others
from pipeline.run.ending.failure import BAD_INPUT, explain_failure
from pipeline.run.ending.shown_results import make_report, score_samples
from pipeline.run.node_progress import examples_by_node, examples_by_span, training_progress
from pipeline.run.origin import ORIGIN_FILE, Differs, Repeated, differences, make_origin
from pipeline.run.run_folder import write_json
from pipeline.run.spans.span_plan import SpanPlan, plan_spans
from pipeline.run.spans.span_versions import record_spans, unfair_comparison
from pipeline.terminal import Progress

if TYPE_CHECKING:  # TFX is imported after the data is checked, because that takes seconds
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.places import Places

_DATA_GATE = "DataGate"


class Run:
    """A run. Its methods stand in the order in which they are called.

    Args:
        config: The configuration.
        data: A data set; None makes synthetic impressions first.
        folder: The run's own folder, from `run_folder`.
        progress: Shows each step.
        span: The span of `data` that the model is judged on, as in `choose_span`; None: the data has splits.
        repeats: The run that this one repeats, which ends before its training if it is made from anything else; None repeats nothing.
    """

    def __init__(
        self,
        config: PipelineConfig,
        data: Path | None,
        folder: Path,
        progress: Progress,
        span: str | None = None,
        repeats: Repeated | None = None,
    ):
        self._config = config
        self._given = data
        self._span = span
        self._repeats = repeats
        self._folder = folder
        self._workspace = folder.parents[1]
        self._progress = progress
        self._started = time.monotonic()
        self.summary = Summary(
            run_id=folder.name,
            name=config.name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            log_path=str(folder / LOG_FILE),
        )

    def execute(self) -> Summary:
        """Runs all steps. The summary, which is also written to the workspace, says how they ended."""
        try:
            self._execute()
        except (InputError, KeyboardInterrupt) as error:
            self._fail(error)
        except (Exception, SystemExit) as error:
            logging.exception("the run failed")
            self._fail(error)
        finally:
            if self.summary.status == "started":
                self.summary.end("failed", "the nodes ended without a verdict")
            self._progress.stop()
            self._write_summary()
        if self.summary.metrics is not None:
            self._report()
        self._note(clean_up(self._workspace, self._config))
        self._note(tell_others(self.summary, self._workspace, self._config.notify))
        return self.summary

    def _note(self, sentences: list[str]) -> None:
        """Adds sentences to a summary that was written."""
        if sentences:
            self.summary.notes += sentences
            self._write_summary()

    def _fail(self, error: BaseException) -> None:
        """Ends the run by an exception. What it pushed before stays pushed."""
        self.summary.end(*explain_failure(error))
        claim_pushed(self.summary, self._workspace)

    def _execute(self) -> None:
        self.summary.data = str(self._given.absolute()) if self._given else None
        self.summary.write(self._workspace)  # from now on `din runs` shows the run
        for killed in record_killed(self._workspace):
            self.summary.notes.append(f"Run {killed.run_id}: {killed.refused_because}.")
        self._write_json(CONFIG_FILE, self._config.model_dump(mode="json"))
        self._check_engine()
        data = self._given.absolute() if self._given else self._make_synthetic_data()
        self.summary.data = str(data)
        plan = self._plan(data)
        self._judged = data = plan.newest.folder if plan and plan.has_own_splits else data
        facts = self._check(data, plan)
        self.summary.write(self._workspace)
        self._record_origin(facts)
        places, dag = self._prepare(data, facts, plan)
        self._run_dag(places, dag, facts)
        self._score_samples()

    def _check_engine(self) -> None:
        from pipeline.runners.check_engine import check_engine

        self.summary.notes += check_engine(self._config.beam)

    def _make_synthetic_data(self) -> Path:
        """Makes the data set of the configuration, unless an earlier run of this workspace made the same one. Returns its folder."""
        config = self._config.synthetic
        if config.days:
            raise InputError(
                "synthetic.days makes days, but a run without --data reads splits: make the days with din synth, and name them with --data."
            )
        folder = self._workspace / "data" / f"synthetic-{_digest(config, 'pipeline.datasets.synthetic')}"
        self._progress.examples["synthetic data"] = config.examples
        self._progress.start("synthetic data")
        if (folder / MANIFEST).exists():
            self._progress.mark_cached()
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            synthetic.generate(config, folder, command="din run")
        self._progress.finish()
        return folder

    def _plan(self, data: Path) -> SpanPlan | None:
        """Finds the spans to read; None in a run without spans."""
        if self._span is None:
            return None
        plan = plan_spans(data, self._span, self._config.spans_read)
        self.summary.span, self.summary.spans = plan.newest.name, plan.names
        self.summary.notes += plan.notes()
        return plan

    def _check(self, data: Path, plan: SpanPlan | None) -> DataFacts:
        """Checks what can be checked in seconds, without TensorFlow."""
        from pipeline.records.metadata_store import prepare_store

        self._progress.start("check data")
        prepare_store(self._workspace / METADATA_FILE, self._config.metadata.url)
        check_gate(self._config.serving)
        check_serving_store(self._config.serving)
        self.summary.notes += silent_servers(self._config.serving, self._workspace / "serving" / self._config.name)
        check_named_files(self._config.features)
        if plan is None or plan.has_own_splits:
            facts = check_data(data, self._config.features, self._known_shards())
            self.summary.examples = facts.examples
            self.summary.oracle, self.summary.oracle_by_label = read_oracle(data), read_oracle_by_label(data)
            self.summary.notes += differing_counts(data, facts.examples)
        else:
            facts = check_spans(plan.before, plan.newest, self._config.features, self._known_shards())
            if plan.judges_all:
                newest = plan.newest.folder
                self.summary.oracle, self.summary.oracle_by_label = read_oracle(newest), read_oracle_by_label(newest)
            self.summary.notes += [note for span in plan.spans for note in span.differing_counts(facts.examples[span.name])]
        self.summary.notes += cut_notes(facts.cut, self._config.features)
        self.summary.data_fingerprint = facts.fingerprint
        self._progress.examples["check data"] = sum(facts.examples.values())
        self._progress.finish()
        if plan:
            record_spans(self.summary, plan, facts, self._workspace)
        return facts

    def _known_shards(self) -> Path:
        """The file with what earlier checks found. Its name changes with the features and with the code of the check."""
        digest = _digest(self._config.features, "pipeline.run.checks.check_impressions")
        return self._workspace / "checks" / f"{self._config.name}-{digest}.json"

    def _record_origin(self, facts: DataFacts) -> None:
        """Records what the metrics will follow from, for `din rerun`."""
        origin = make_origin(self._config, facts)
        self._write_json(ORIGIN_FILE, origin.model_dump())
        if self._repeats and (found := differences(self._repeats.origin, origin)):
            raise Differs(f"{'; '.join(found)}.")

    def _prepare(self, data: Path, facts: DataFacts, plan: SpanPlan | None) -> tuple["Places", "Pipeline"]:
        """Imports TensorFlow and TFX, prepares what the DAG reads, and makes the DAG."""
        self._progress.start("start TensorFlow")
        with quick_imports():
            from din_trainer.devices import in_words
            from din_trainer.training.workers.job import workers_here
            from pipeline.dag import create_pipeline
            from pipeline.records.metadata_store import tidy_store
            from pipeline.run.inputs.data_schema import unchecked_by_run
            from pipeline.run.inputs.prepare_places import prepare_places
            from pipeline.run.inputs.warm_start import find_start

        self.summary.notes += unchecked_by_run(self._config)
        places = prepare_places(self._config, data, facts, self._workspace, plan)
        self.summary.schema_path, self.summary.stable_at_start = str(places.schema), places.stable
        self.summary.notes += unfair_comparison(self.summary, plan, self._workspace)
        self.summary.notes += tidy_store(places.metadata, self._workspace / "artifacts")
        start = find_start(self._config, self._repeats.workspace if self._repeats else self._workspace, self.summary)
        self.summary.notes += start.notes
        self.summary.warm_start = {"from": start.start.run} if start.start else None
        places = places._replace(start=start.start)
        dag = create_pipeline(self._config, places, self.summary.run_id)
        self._progress.detail(f"trains on {in_words(workers_here(self._config.training.workers))}")
        self._progress.width = max(self._progress.width, *(len(node.id) for node in dag.components))
        self._progress.finish()
        self._progress.examples |= examples_by_node(facts.examples) if self.summary.examples else examples_by_span(facts.examples)
        return places, dag

    def _run_dag(self, places: "Places", dag: "Pipeline", facts: DataFacts) -> None:
        """Runs the nodes. Whatever they put out before an exception is in the summary, too."""
        from pipeline.run.ending.outcome import read_outcome
        from pipeline.runners.engines import running_engine
        from pipeline.runners.local import run_locally

        engine = running_engine(self._config.beam, self.summary.run_id, self.summary.notes, self._progress.line)
        try:
            with training_progress(self._progress, self.summary.notes), engine as pipelines, beam_engine.engine(pipelines):
                run_locally(dag, self.summary.run_id, self._progress)
        except Exception:
            if not any(step.startswith(_DATA_GATE) for step in self._progress.seconds):  # the data was still read
                check_unchanged(facts)
            raise
        finally:
            read_outcome(self.summary, places, self._folder)

    def _score_samples(self) -> None:
        score_samples(self.summary, self._workspace, self._judged, self._config.features)

    def _write_summary(self) -> None:
        self.summary.cached = sorted(self._progress.cached)
        self.summary.seconds = {"total": round(time.monotonic() - self._started, 3), "components": self._progress.seconds}
        try:
            self.summary.write(self._workspace)
        except InputError as error:  # the terminal still shows it
            self.summary.notes.append(f"The summary is not written: {error}")
            self.summary.exit_code = self.summary.exit_code or BAD_INPUT  # who reads the file instead must not take an older one for it

    def _report(self) -> None:
        self._progress.start("report")
        make_report(self.summary, self._folder, self._judged)
        self._progress.finish()
        self._write_summary()

    def _write_json(self, name: str, content: Any) -> None:
        write_json(self._folder / name, content)


def _digest(settings: BaseModel, module: str) -> str:
    """Returns a name for what a module computes from settings: it changes with both."""
    return hashlib.sha256(f"{settings.model_dump_json()} {source_fingerprint(module)}".encode()).hexdigest()[:12]
