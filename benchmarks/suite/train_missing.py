"""Does the work of a suite: it imports the data sets and trains the rows that are missing. A failure does not stop the rest."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.peers import peer_environment
from benchmarks.peers.peer_training import train_peer, worker_settings
from benchmarks.quality.compared_models import PEERS
from benchmarks.quality.eval_judge import EvalSplit, Trial, read_eval
from benchmarks.quality.model_table import most_regularised, open_experiment
from benchmarks.suite.provenance import provenance
from benchmarks.suite.row_store import Row, RowStore
from benchmarks.suite.suite_config import Planned, Suite, SuiteData
from benchmarks.suite.suite_data import Imported, import_once, imported_before, locate
from benchmarks.suite.time_left import TimeLeft
from components.base.errors import InputError
from pipeline.records.summary_tables import number
from pipeline.terminal import Progress

Trainer = Callable[[Planned], Trial]


class NotRun(NamedTuple):
    """What was not run, and why, with what to do about it."""

    what: str
    why: str


class Found(NamedTuple):
    """An imported data set and its eval split."""

    imported: Imported
    judge: EvalSplit


class Finished(NamedTuple):
    """A data set with the rows of all models that could be trained."""

    imported: Imported
    judge: EvalSplit
    rows: dict[str, list[Row]]


class SuiteWork:
    """A run of a suite.

    Args:
        suite: The suite.
        planned: Its trainings by data set.
        sources: The folder of the sources, if it was named.
        out: Where all files are written.
        command: The command that the manifests record.
        progress: Shows each step.

    Attributes:
        not_run: What was not run.
        has_failed: Whether an import was refused or a training failed. Missing sources and peers are not failures.
    """

    def __init__(self, suite: Suite, planned: dict[str, list[Planned]], sources: Path | None, out: Path, command: str, progress: Progress):
        self._suite, self._planned = suite, planned
        self._sources, self._data, self._command = sources, out / "data", command
        self._progress = progress
        self._store = RowStore(out / "rows")
        self.not_run: list[NotRun] = []
        self.has_failed = False

    def execute(self) -> dict[str, Finished]:
        """Imports and trains. Returns the data sets by name, with the rows of the models that were trained with every seed.

        Raises:
            InputError: No data set could be imported, or nothing could be trained.
        """
        found = {data.name: Found(there, read_eval(there.folder)) for data in self._suite.data if (there := self._import(data)) is not None}
        if not found:
            raise InputError(f"No data set of the suite {self._suite.name} could be imported: {self._reasons()}")
        self._train(found)
        rows = {name: self._rows(name, data) for name, data in found.items()}
        if not any(rows.values()):
            raise InputError(f"Nothing of the suite {self._suite.name} could be trained: {self._reasons()}")
        return {name: Finished(*found[name], of_data) for name, of_data in rows.items() if of_data}

    def _reasons(self) -> str:
        return " ".join(missing.why for missing in self.not_run)

    def _note(self, what: str, error: InputError, is_failure: bool) -> None:
        self.not_run.append(NotRun(what, " ".join(str(error).split())))
        self.has_failed |= is_failure

    def _import(self, data: SuiteData) -> Imported | None:
        self._progress.start(f"data {data.name}")
        found = self._find(data)
        if found is None:
            self._progress.detail("not run")
        else:
            counts = ", ".join(f"{count:,} {split}" for split, count in found.manifest["examples"].items())
            self._progress.detail(counts + ("" if found.is_source_there else "; imported before, the source does not exist any more"))
        self._progress.finish()
        return found

    def _find(self, data: SuiteData) -> Imported | None:
        try:
            source = locate(data, self._sources)
        except InputError as error:
            found = imported_before(data, self._data)
            if found is None:
                self._note(data.title, error, is_failure=False)
            return found
        try:
            return import_once(data, source, self._data, self._command)
        except InputError as error:
            self._note(data.title, error, is_failure=True)
            return None

    def _train(self, found: dict[str, Found]) -> None:
        """Trains what is missing. Deterministic trainings come last, because TensorFlow stays deterministic until the process ends."""
        rows = [(p, self._store.read(p, data.imported.digest, data.judge)) for name, data in found.items() for p in self._planned[name]]
        there = [(p.data, p.model, row.figures["seconds"]) for p, row in rows if row is not None]
        missing = self._without_missing_peers([p for p, row in rows if row is None])
        left = TimeLeft(missing, there)
        by_data = {name: of_data for name in found if (of_data := [p for p in missing if p.data == name])}
        for name, of_data in sorted(by_data.items(), key=lambda item: item[1][0].config.training.deterministic):
            self._train_on(name, found[name], of_data, left)

    def _without_missing_peers(self, missing: list[Planned]) -> list[Planned]:
        """Installs the peers' environment if a row needs it. Returns the rows, without those of peers if that fails."""
        peers = sorted({p.model for p in missing} & PEERS.keys())
        if not peers:
            return missing
        self._progress.start("peers")
        try:
            self._python = peer_environment.prepare(peer_environment.cache_folder())
        except InputError as error:
            missing = [p for p in missing if p.model not in PEERS]
            for peer in peers:
                self._note(PEERS[peer].title, error, is_failure=False)
        self._progress.finish()
        return missing

    def _train_on(self, name: str, data: Found, missing: list[Planned], left: TimeLeft) -> None:
        with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
            try:
                train = self._trainer(name, data.imported, Path(folder))
            except InputError as error:
                self._note(f"{name}: all missing trainings", error, is_failure=True)
                for planned in missing:
                    left.drop(planned)
                return
            failed = train_missing(missing, data.imported.digest, self._store, data.judge, train, left, self._progress)
        for planned, why in failed:
            self._note(planned.title, why, is_failure=True)

    def _trainer(self, name: str, found: Imported, workspace: Path) -> Trainer:
        """Runs the pipeline on a data set up to Transform. Returns the function that trains a row."""
        config = most_regularised(planned.config for planned in self._planned[name])
        experiment = open_experiment(config, found.folder.absolute(), workspace, self._progress)
        arrays = workspace / "arrays.npz"

        def train(planned: Planned) -> Trial:
            if planned.model not in PEERS:
                return experiment.train(planned.config)
            if not arrays.exists():
                experiment.write_arrays(arrays)
            return train_peer(self._python, arrays, worker_settings(planned.config, experiment.vocabulary_sizes))

        return train

    def _rows(self, name: str, data: Found) -> dict[str, list[Row]]:
        rows: dict[str, list[Row | None]] = {}
        for planned in self._planned[name]:
            rows.setdefault(planned.model, []).append(self._store.read(planned, data.imported.digest, data.judge))
        return {model: whole for model, of_model in rows.items() if len(whole := [row for row in of_model if row]) == len(of_model)}


def train_missing(
    missing: list[Planned], digest: str, store: RowStore, judge: EvalSplit, train: Trainer, left: TimeLeft, progress: Progress
) -> list[tuple[Planned, InputError]]:
    """Trains the rows of one data set, and stores each as soon as it is finished.

    Args:
        missing: The rows.
        digest: The digest of the impressions.
        store: Where the rows are written.
        judge: The eval split of the data set.
        train: Trains one row.
        left: The estimate of the remaining time, which is updated.
        progress: Shows each row.

    Returns:
        The rows whose training was refused or failed, and why.
    """
    failed: list[tuple[Planned, InputError]] = []
    for planned in missing:
        progress.start(planned.title)
        started = time.monotonic()
        try:
            trial = train(planned)
        except InputError as error:
            failed.append((planned, error))
            left.drop(planned)
            progress.detail(f"failed; {left}")
            progress.finish()
            continue
        metrics = judge.judge(trial.logits)
        figures = {
            "data": planned.data,
            "model": planned.model,
            "seed": planned.seed,
            "key": store.key(planned, digest),
            **metrics._asdict(),
            "best_epoch": 1 + int(np.argmax(trial.validation_aucs)),
            "validation_aucs": trial.validation_aucs,
            "seconds": trial.seconds,
            "trained": provenance(planned.model),
        }
        store.write(planned, digest, Row(figures, trial.logits))
        left.finish(planned, time.monotonic() - started)
        progress.detail(f"AUC {metrics.auc:.4f}, GAUC {number(metrics.gauc)}, log loss {metrics.log_loss:.4f}; {left}")
        progress.finish()
    return failed
