"""One run, from configuration to verdict: `din run` without its printing."""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from components.base.atomic_files import write_whole
from components.base.errors import DataError, InputError, causes, explain_place
from components.base.fingerprint import source_fingerprint
from components.base.tfrecord import read_batches, read_records
from components.evaluation.metrics.catalogue import METRICS, PROBABILITY
from components.serving.store.models_config import STABLE
from components.serving.store.versions import served_model
from din_trainer.features import LABEL, REQUEST_ID
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets import synthetic
from pipeline.datasets.layout import MANIFEST, read_oracle, split_files, to_json_rows
from pipeline.report.content import CONFIG_FILE, DETAILS_FILE, EVALUATION_FILE, REPORT_FILE
from pipeline.run.data_check import DataFacts, check_data
from pipeline.run.places import Places
from pipeline.run.preflight import check_embeddings, check_gate
from pipeline.run.summary import Summary, read_summaries
from pipeline.terminal import Progress

LOG_FILE, METADATA_FILE = "log.txt", "metadata.sqlite"


_SAMPLES = 5


_EARLIER = 10  # runs among which other data is looked for, to tell drift


BAD_INPUT = 2  # exit status


class Run:
    """A run in progress.

    Args:
        config: What to run.
        data: A data set; None makes synthetic impressions first.
        folder: From `run_folder`.
        progress: Told of each step.
    """

    def __init__(self, config: PipelineConfig, data: Path | None, folder: Path, progress: Progress):
        self._config = config
        self._given = data
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
        """Runs everything; whatever happens is in the summary, which is written."""
        try:
            self._execute()
        except DataError as error:
            self.summary.end("data_refused", str(error))
        except InputError as error:
            self.summary.end("failed", str(error), BAD_INPUT)
        except KeyboardInterrupt:
            self.summary.end("interrupted", None)
        except Exception as error:
            logging.exception("the run failed")
            self._explain(error)
        finally:
            self._progress.stop()
            self._write()
        self._report()
        return self.summary

    def _explain(self, error: Exception) -> None:
        """Ends the run with a sentence for an exception out of the DAG, or out of what it wraps."""
        from components.data_gate import DataRefused

        for cause in causes(error):
            if isinstance(cause, DataRefused):
                return self.summary.end("data_refused", str(cause))
            if isinstance(cause, InputError):
                return self.summary.end("failed", str(cause), BAD_INPUT)
            if isinstance(cause, OSError) and (sentence := explain_place(cause)):
                return self.summary.end("failed", sentence, BAD_INPUT)
        lines = str(error).strip().splitlines() or ["no message"]
        self.summary.end("failed", f"{type(error).__name__}: {lines[0]}")

    def _write(self) -> None:
        self.summary.cached = sorted(self._progress.cached)
        self.summary.seconds = {"total": round(time.monotonic() - self._started, 3), "components": self._progress.seconds}
        try:
            self.summary.write(self._workspace)
        except InputError:  # what happened is still told on the terminal
            logging.exception("the summary could not be written")

    def _report(self) -> None:
        """The HTML file of a run that was evaluated. The verdict stands without it."""
        if self.summary.metrics is None:
            return
        self._progress.start("report")
        try:
            self._write_json(DETAILS_FILE, self._details())
            from pipeline.report.page import write_report

            self.summary.report_path = str(write_report(self._folder, self._workspace, self._folder / REPORT_FILE))
        except (Exception, KeyboardInterrupt):
            logging.exception("no report")
        self._progress.finish()
        self._write()

    def _details(self) -> dict[str, Any]:
        """What the report tells beside the evaluation. Drift is against the last run on other data."""
        from pipeline.report.gather.details import gather_details
        from pipeline.run.metadata_store import RunOutputs

        summary, metadata = self.summary, self._workspace / METADATA_FILE
        earlier = [run.run_id for run in read_summaries(self._workspace) if run.name == summary.name and run.metrics]
        statistics = {run: RunOutputs(metadata, run).uri("StatisticsGen", "statistics") for run in [*earlier[-_EARLIER:], summary.run_id]}
        others = [run for run, found in statistics.items() if found not in (None, statistics[summary.run_id])]
        previous = others[-1] if others else None
        return gather_details(metadata, summary.run_id, previous, Path(str(summary.model_path)), Path(str(summary.data)))

    def _execute(self) -> None:
        self._write_json(CONFIG_FILE, self._config.model_dump(mode="json"))
        data = self._given.absolute() if self._given else self._synthesise()
        self.summary.data = str(data)
        facts = self._check(data)
        self.summary.examples = facts.examples
        self.summary.oracle = read_oracle(data)
        self._progress.examples |= _examples_by_node(facts.examples)

        self._progress.start("start TensorFlow")
        from pipeline.dag import create_pipeline
        from pipeline.run.metadata_store import forget_missing_artifacts
        from pipeline.runners.local import run_locally

        places = self._places(data, facts)
        forget_missing_artifacts(places.metadata)
        self.summary.schema_path = str(places.schema)
        dag = create_pipeline(self._config, places, self.summary.run_id)
        self._progress.finish()
        try:
            with _training_progress(self._progress):
                run_locally(dag, self.summary.run_id, self._progress)
        finally:
            self._collect(places)
        try:
            self._sample(data)
        except (Exception, KeyboardInterrupt):  # only shown; the verdict stands
            logging.exception("no sample predictions")

    def _synthesise(self) -> Path:
        config = self._config.synthetic
        source = source_fingerprint("pipeline.datasets.synthetic")
        digest = hashlib.sha256(f"{config.model_dump_json()} {source}".encode()).hexdigest()[:12]
        folder = self._workspace / "data" / f"synthetic-{digest}"
        self._progress.examples["synthetic data"] = config.examples
        self._progress.start("synthetic data")
        if (folder / MANIFEST).exists():
            self._progress.mark_cached()
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            synthetic.generate(config, folder, command="din run")
        self._progress.finish()
        return folder

    def _check(self, data: Path) -> DataFacts:
        self._progress.start("check data")
        check_gate(self._config.serving)
        check_embeddings(self._config.features)
        facts = check_data(data, self._config.features)
        self._progress.examples["check data"] = sum(facts.examples.values())
        self._progress.finish()
        return facts

    def _places(self, data: Path, facts: DataFacts) -> Places:
        from pipeline.run.baseline import link_baseline
        from pipeline.run.data_schema import has_feature, write_schema

        name = self._config.name
        schema = write_schema(self._config, data, facts, self._workspace / "schemas")
        requests = has_feature(schema, REQUEST_ID)
        unknown = sorted(metric for metric in self._config.evaluation.judged_metrics if METRICS[metric].within == "request")
        if unknown and not requests:
            raise InputError(f"{data} has no {REQUEST_ID}, within which {unknown[0]} ranks: take its threshold out, or add the feature.")
        asked = {feature for features in self._config.evaluation.slice_features for feature in features}
        for column in asked & self._config.slice_columns.keys():
            if has_feature(schema, column):
                raise InputError(f"{schema} has a feature {column!r}, which slices are computed in: rename it there.")
        serving = self._workspace / "serving" / name
        served = served_model(serving)
        self.summary.stable_at_start = served.labels[STABLE] if served else None
        return Places(
            data=data,
            schema=schema,
            artifacts=self._workspace / "artifacts" / name,
            metadata=self._workspace / METADATA_FILE,
            checkpoints=self._workspace / "checkpoints" / name,
            serving=serving,
            baseline=link_baseline(self._config, serving, self._workspace / "artifacts" / name / "baseline"),
            stable=self.summary.stable_at_start,
            requests=requests,
        )

    def _collect(self, places: Places) -> None:
        """Fills the summary from what the nodes put out."""
        from tfx.utils import path_utils

        from components.atomic_pusher import REFUSED_KEY, UNCHANGED_KEY
        from components.verdict import VERDICT_FILE
        from pipeline.run.metadata_store import RunOutputs

        outputs = RunOutputs(places.metadata, self.summary.run_id)
        model = outputs.uri("Trainer", "model")
        self.summary.model_path = path_utils.serving_model_dir(str(model)) if model else None
        evaluation = outputs.uri("Evaluator", "evaluation")
        self.summary.tfma_path = str(evaluation) if evaluation else None
        verdict = outputs.uri("Verdict", "blessing")
        if verdict is None:
            return
        self._apply_verdict(json.loads((verdict / VERDICT_FILE).read_text()), places)
        if outputs.property("Pusher", "pushed_model", "pushed"):
            self.summary.pushed_version = int(outputs.property("Pusher", "pushed_model", "pushed_version") or 0)
            self.summary.pushed_path = str(outputs.property("Pusher", "pushed_model", "pushed_destination"))
            self.summary.end("unchanged" if outputs.property("Pusher", "pushed_model", UNCHANGED_KEY) else "pushed", None)
        elif not self.summary.blessed:
            self.summary.end("refused", self.summary.refused_because)
        elif refusal := outputs.property("Pusher", "pushed_model", REFUSED_KEY):
            self.summary.end("refused", str(refusal))

    def _apply_verdict(self, verdict: dict[str, Any], places: Places) -> None:
        summary, overall = self.summary, verdict["slices"][0]["metrics"]
        summary.blessed, summary.refused_because = verdict["blessed"], verdict["refused_because"]
        summary.thresholds, summary.sameness, summary.loading = verdict["thresholds"], verdict["sameness"], verdict["loading"]
        summary.metrics = {name: metric["value"] for name, metric in overall.items()}
        summary.intervals = {name: [metric["low"], metric["high"]] for name, metric in overall.items()}
        if places.baseline:
            summary.baseline = {
                "version": int(places.baseline.name) if places.baseline.name.isdecimal() else None,
                "path": str((places.baseline / "Format-Serving").resolve()),
                "metrics": {name: metric["baseline"] for name, metric in overall.items()},
                "changes": {name: metric["change"] for name, metric in overall.items()},
            }
        self._write_json(EVALUATION_FILE, {name: verdict[name] for name in ("confidence", "replicates", "slices", "curves")})

    def _write_json(self, name: str, content: Any) -> None:
        write_whole(self._folder / name, [json.dumps(content), "\n"])

    def _sample(self, data: Path) -> None:
        """Five evaluation impressions with their scores beside their labels."""
        from pipeline.predict.score_json import Scorer

        features = self._config.features
        shown = list(dict.fromkeys([*features.user, *(b.candidate for b in features.behaviours.values()), LABEL]))
        file = next(file for file in split_files(data, "eval") if next(read_records(file), None) is not None)
        serialized = list(islice(read_records(file), _SAMPLES))
        batch = next(read_batches(file, _SAMPLES))
        rows = to_json_rows(batch.select([name for name in shown if name in batch.schema.names]), set(shown))
        scores = Scorer(Path(self.summary.model_path or "")).score_examples(serialized)
        self.summary.sample_predictions = [{**row, PROBABILITY: score} for row, score in zip(rows, scores, strict=True)]


def _examples_by_node(examples: dict[str, int]) -> dict[str, int]:
    """Impressions that each node works on."""
    whole = dict.fromkeys(("ImportExampleGen", "StatisticsGen", "SliceColumns"), sum(examples.values()))
    judged = dict.fromkeys(("Evaluator", "UserBootstrap"), examples["eval"])
    return {**whole, "Transform": examples["train"] + examples["validation"], **judged}


@contextlib.contextmanager
def _training_progress(progress: Progress) -> Iterator[None]:
    """Shows what `din_trainer` tells of its training."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress.detail(record.getMessage())

    logger, handler = logging.getLogger("din_trainer.progress"), Handler()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
