"""Rows of a suite: one training each, written when it is finished and used again while nothing that it depends on has changed."""

import hashlib
import json
import os
import statistics
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import peer_environment
from benchmarks.peers.peer_quality import WORKER_FILES
from benchmarks.quality.eval_judge import EvalSplit, Trial
from benchmarks.quality.model_table import PEERS
from benchmarks.suite.provenance import provenance
from benchmarks.suite.suite_config import Planned
from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.fingerprint import file_fingerprint, source_fingerprint
from pipeline.run.summary_tables import number
from pipeline.terminal import Progress

Trainer = Callable[[Planned], Trial]


class Row(NamedTuple):
    """A finished training.

    Attributes:
        figures: As in its JSON file; once read, with the metrics of its logits by today's judge, and whether it was still improving.
        logits: (N,) on eval/.
    """

    figures: dict[str, Any]
    logits: np.ndarray


class RowStore:
    """The folder of the rows: of each, its figures as JSON and its logits beside them. The code is taken as it is at the beginning.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._code = source_fingerprint("din_trainer.training.fit", "din_trainer.transform.preprocessing")
        self._peers = "\n".join([*peer_environment.REQUIREMENTS, *(file.read_text() for file in WORKER_FILES)])

    def key(self, planned: Planned, digest: str) -> str:
        """SHA-256, shortened, of all that a row depends on: what is trained, by which code, and on what: `digest` of the impressions."""
        code = self._peers if planned.model in PEERS else ""
        parts = [planned.model, planned.config.din.model_dump_json(), digest, self._code, code, *_embeddings(planned)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def read(self, planned: Planned, digest: str, judge: EvalSplit) -> Row | None:
        """A row, if it is there and whole."""
        file = self._file(planned, digest)
        try:
            figures = json.loads(file.read_text())
            best_epoch, _ = figures["best_epoch"], figures["seconds"]
            with np.load(file.with_suffix(".npz")) as arrays:
                logits = arrays["logits"]
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None
        if logits.shape != judge.label.shape:
            return None
        is_last = best_epoch == planned.config.training.epochs
        return Row({**figures, **judge.judge(logits)._asdict(), "still_improving": is_last}, logits)

    def write(self, planned: Planned, digest: str, row: Row) -> None:
        """Keeps a row: the figures last, so that what has figures is whole."""
        file = self._file(planned, digest)
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.stem}.npz")
        np.savez_compressed(aside, logits=row.logits)
        os.replace(aside, file.with_suffix(".npz"))
        write_whole(file, [json.dumps(row.figures, indent=2) + "\n"])

    def _file(self, planned: Planned, digest: str) -> Path:
        return self._folder / f"{planned.data}-{planned.model}-{planned.seed}-{self.key(planned, digest)}.json"


def _embeddings(planned: Planned) -> list[str]:
    """The content of the files of initial embeddings: the configuration holds their names."""
    files = [vocabulary.embeddings for vocabulary in planned.config.features.vocabularies.values() if vocabulary.embeddings]
    return [file_fingerprint(file) for file in files]


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


def train_missing(
    missing: list[Planned], digest: str, store: RowStore, judge: EvalSplit, train: Trainer, left: TimeLeft, progress: Progress
) -> list[tuple[Planned, InputError]]:
    """Trains rows, and keeps each as soon as it is finished. Returns those whose training was refused or failed, and why.

    Args:
        missing: Rows of one data set.
        digest: Of its impressions.
        store: Where they go.
        judge: The data set's eval/.
        train: Trains one.
        left: For the progress.
        progress: Told of each row.
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
