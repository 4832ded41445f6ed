"""One run, from configuration to verdict: `din run` without its printing."""

import contextlib
import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline.datasets
from din_trainer.features import LABEL
from pipeline.config import PipelineConfig
from pipeline.datasets import synthetic
from pipeline.datasets.layout import MANIFEST, to_json_rows
from pipeline.datasets.tfrecord import read_batches, read_records
from pipeline.errors import DataError, InputError, causes, explain_place
from pipeline.fingerprint import source_fingerprint
from pipeline.metrics import PROBABILITY, REPORTED
from pipeline.preflight import DataFacts, check_data, check_embeddings, check_workspace, split_files
from pipeline.summary import Summary
from pipeline.terminal import Progress

if TYPE_CHECKING:  # TFX is imported when the data is known to be sound
    from pipeline.dag import Places

LOG_FILE = "log.txt"
_SAMPLES = 5
BAD_INPUT = 2  # exit status


@contextlib.contextmanager
def run_folder(workspace: Path, name: str) -> Iterator[Path]:
    """Makes `runs/20261124-101500-demo`, with a counter where that second is taken; its name is the run's id.

    One run at a time in a workspace: its metadata store and serving folder have one writer.

    Raises:
        InputError: The workspace cannot be made or written, or another run is using it.
    """
    check_workspace(workspace)
    with open(workspace / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"Another run is using {workspace}: wait for it, or name another workspace with --workspace.") from error
        base = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"
        taken = sum(1 for _ in (workspace / "runs").glob(f"{base}*"))
        folder = workspace.absolute() / "runs" / (f"{base}-{taken + 1}" if taken else base)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): name another workspace with --workspace.") from error
        yield folder


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
        return self.summary

    def _explain(self, error: Exception) -> None:
        """Ends the run with a sentence for an exception out of the DAG, or out of what it wraps."""
        from components.data_gate import DataRefused

        for cause in causes(error):
            if isinstance(cause, DataRefused):
                return self.summary.end("data_refused", str(cause))
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

    def _execute(self) -> None:
        data = self._given.absolute() if self._given else self._synthesise()
        self.summary.data = str(data)
        facts = self._check(data)
        self.summary.examples = facts.examples
        self.summary.oracle = read_oracle(data)
        self._progress.examples |= _examples_by_node(facts.examples)

        self._progress.start("start TensorFlow")
        from pipeline.dag import create_pipeline
        from pipeline.metadata import forget_missing_artifacts
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
        source = source_fingerprint(pipeline.datasets)
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
        check_embeddings(self._config.features)
        facts = check_data(data, self._config.features)
        self._progress.examples["check data"] = sum(facts.examples.values())
        self._progress.finish()
        return facts

    def _places(self, data: Path, facts: DataFacts) -> "Places":
        from pipeline.baseline import link_baseline
        from pipeline.dag import Places
        from pipeline.schema import write_schema

        name = self._config.name
        serving = self._workspace / "serving" / name
        return Places(
            data=data,
            schema=write_schema(self._config, data, facts, self._workspace / "schemas"),
            artifacts=self._workspace / "artifacts" / name,
            metadata=self._workspace / "metadata.sqlite",
            checkpoints=self._workspace / "checkpoints" / name,
            serving=serving,
            baseline=link_baseline(self._config, serving, self._workspace / "artifacts" / name / "baseline"),
        )

    def _collect(self, places: "Places") -> None:
        """Fills the summary from what the nodes put out."""
        from tfx.utils import path_utils

        from components.atomic_pusher import UNCHANGED_KEY
        from components.verdict import VERDICT_FILE
        from pipeline.metadata import RunOutputs

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

    def _apply_verdict(self, verdict: dict[str, Any], places: "Places") -> None:
        summary = self.summary
        summary.blessed, summary.refused_because = verdict["blessed"], verdict["refused_because"]
        summary.thresholds = verdict["thresholds"]
        summary.metrics = {name: verdict["metrics"].get(name) for name in REPORTED}
        if places.baseline:
            metrics = {name: verdict["baseline"].get(name) for name in REPORTED}
            summary.baseline = {"version": int(places.baseline.name), "metrics": metrics}

    def _sample(self, data: Path) -> None:
        """Five evaluation impressions with their scores beside their labels."""
        from pipeline.predict import Scorer

        features = self._config.features
        shown = list(dict.fromkeys([*features.user, *(b.candidate for b in features.behaviours.values()), LABEL]))
        file = next(file for file in split_files(data, "eval") if next(read_records(file), None) is not None)
        serialized = list(islice(read_records(file), _SAMPLES))
        batch = next(read_batches(file, _SAMPLES))
        rows = to_json_rows(batch.select([name for name in shown if name in batch.schema.names]), set(shown))
        scores = Scorer(Path(self.summary.model_path or "")).score_examples(serialized)
        self.summary.sample_predictions = [{**row, PROBABILITY: score} for row, score in zip(rows, scores, strict=True)]


def read_oracle(data: Path) -> dict[str, float | None] | None:
    """The manifest's figures of the true probabilities on eval/; None where they are not known.

    Raises:
        DataError: The manifest cannot be read.
    """
    manifest = data / MANIFEST
    try:
        return json.loads(manifest.read_text()).get("oracle") if manifest.exists() else None
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{manifest} cannot be read ({error}): mend it, or take it away.") from error


def _examples_by_node(examples: dict[str, int]) -> dict[str, int]:
    """Impressions that each node works on."""
    total, seen = sum(examples.values()), examples["train"] + examples["validation"]
    return {"ImportExampleGen": total, "StatisticsGen": total, "Transform": seen, "Evaluator": examples["eval"]}


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
