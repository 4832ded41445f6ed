"""Rows of a suite: one training each, written when it is finished and used again while nothing that it depends on has changed."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import peer_environment
from benchmarks.peers.peer_training import WORKER_FILES
from benchmarks.quality.eval_judge import EvalSplit
from benchmarks.quality.model_table import PEERS
from benchmarks.suite.suite_config import Planned
from components.base.atomic_files import write_whole
from components.base.fingerprint import file_fingerprint, source_fingerprint


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
