"""Keeps the finished rows of a suite. A row is one training; it is used again as long as nothing that it depends on has changed."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import peer_environment
from benchmarks.peers.peer_training import PEER_FILES
from benchmarks.quality.compared_models import PEERS
from benchmarks.quality.eval_judge import EvalSplit
from benchmarks.suite.suite_config import Planned
from components.base.atomic_files import write_whole
from components.base.fingerprint import file_fingerprint, source_fingerprint

_TRAINING = (
    "din_trainer.training.fit",
    "din_trainer.transform.preprocessing",
    "din_trainer.transform.raw_schema",
)  # with all that they import
_EXPERIMENT = Path(__file__).parents[1] / "quality" / "experiment.py"  # this file alone: its imports reach the whole pipeline


class Row(NamedTuple):
    """A finished training.

    Attributes:
        figures: The content of its JSON file. A row that was read has the metrics of its logits, computed anew, and `still_improving`.
        logits: (N,) the logits of the impressions in eval/.
    """

    figures: dict[str, Any]
    logits: np.ndarray


class RowStore:
    """The folder of the rows, with two files each: the figures as JSON, and the logits. Keys use the code as it is when the store is made.

    Args:
        folder: The folder, which need not exist.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._code = source_fingerprint(*_TRAINING) + file_fingerprint(str(_EXPERIMENT))
        self._peers = "\n".join([*peer_environment.REQUIREMENTS, *(file.read_text() for file in PEER_FILES)])

    def key(self, planned: Planned, digest: str) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of all that a row depends on: the model, its settings, the code and the data.

        Args:
            planned: The training.
            digest: The digest of the impressions.
        """
        code = self._peers if planned.model in PEERS else ""
        parts = [planned.model, planned.config.din.model_dump_json(), digest, self._code, code, *_embeddings(planned)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def read(self, planned: Planned, digest: str, judge: EvalSplit) -> Row | None:
        """Reads a row and judges its logits. Returns None if there is no such row or a file of it is damaged."""
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
        """Writes a row. The figures come last, so that a row with figures is complete."""
        file = self._file(planned, digest)
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.stem}.npz")
        np.savez_compressed(aside, logits=row.logits)
        os.replace(aside, file.with_suffix(".npz"))
        write_whole(file, [json.dumps(row.figures, indent=2) + "\n"])

    def _file(self, planned: Planned, digest: str) -> Path:
        return self._folder / f"{planned.data}-{planned.model}-{planned.seed}-{self.key(planned, digest)}.json"


def _embeddings(planned: Planned) -> list[str]:
    """Returns the fingerprints of the files of initial embeddings. The configuration has only their names."""
    files = [vocabulary.embeddings for vocabulary in planned.config.features.vocabularies.values() if vocabulary.embeddings]
    return [file_fingerprint(file) for file in files]
