"""Reads files of initial embeddings. It does not import TensorFlow, so that the files can be checked before that."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)  # what np.load and its arrays can raise


def read_embeddings(file: str, dim: int) -> tuple[list[bytes], np.ndarray]:
    """Reads embeddings from an .npz file such as `din synth --item-features` writes.

    Args:
        file: Has `ids` (N,), raw ids (integers or text), and `vectors` (N, dim).
        dim: D of the table.

    Returns:
        The ids as they are written in Transform's vocabularies, and the vectors (N, dim) float32.

    Raises:
        ValueError: The file cannot be read, or its arrays have other names, types or shapes.
    """
    try:
        if not Path(file).is_file():  # opening a FIFO would hang
            raise FileNotFoundError("there is no such file")
        with np.load(file) as arrays:
            ids, vectors = arrays["ids"], arrays["vectors"].astype(np.float32)
    except _UNREADABLE as error:
        raise ValueError(f"{file} is no .npz with `ids` and `vectors` ({error}): write one with numpy.savez") from error
    if ids.ndim != 1 or ids.dtype.kind not in "iuSU":
        raise ValueError(f"{file}: `ids` is {ids.dtype} {ids.shape}, but each vector needs one integer or text")
    if vectors.shape != (len(ids), dim):
        raise ValueError(
            f"{file}: `vectors` is {vectors.shape}, but {len(ids)} ids and dim = {dim} need {(len(ids), dim)}: set dim to match"
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{file}: `vectors` has values that are not finite: correct them")
    return [value if isinstance(value, bytes) else str(value).encode() for value in ids.tolist()], vectors
