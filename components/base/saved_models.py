"""Loads a SavedModel once in a process, since several steps of a run score with the same one, and a load takes a third of a second."""

from functools import lru_cache
from pathlib import Path
from typing import Any


def load_saved_model(folder: Path | str) -> Any:
    """The model in a folder. The last one that was loaded is kept in memory, as long as its graph stays the same on disk.

    Raises:
        OSError, ValueError, tf.errors.OpError: As `tf.saved_model.load`.
    """
    graph = Path(folder) / "saved_model.pb"
    return _load(str(folder), graph.stat().st_mtime_ns if graph.exists() else 0)


@lru_cache(maxsize=1)
def _load(folder: str, _written: int) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(folder)
