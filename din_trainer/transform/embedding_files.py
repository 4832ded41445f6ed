"""Embeddings that were learnt elsewhere. TensorFlow is not imported here, so that their files can be checked before it is."""

import zipfile
import zlib

import numpy as np

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)  # all that np.load and its arrays raise


def read_embeddings(file: str, dim: int) -> tuple[list[bytes], np.ndarray]:
    """Embeddings from an .npz as `din synth --item-features` writes it.

    Args:
        file: Holds `ids` (N,), raw ids (integers or text), and `vectors` (N, dim).
        dim: D of the table.

    Returns:
        The ids as Transform's vocabularies write them, and the vectors (N, dim) float32.

    Raises:
        ValueError: The file cannot be read, or its arrays are not of these names, types and shapes.
    """
    try:
        with np.load(file) as arrays:
            ids, vectors = arrays["ids"], arrays["vectors"].astype(np.float32)
    except _UNREADABLE as error:
        raise ValueError(f"{file} is no .npz with `ids` and `vectors` ({error}): write one with numpy.savez") from error
    if ids.ndim != 1 or ids.dtype.kind not in "iuSU":
        raise ValueError(f"{file}: `ids` is {ids.dtype} {ids.shape}, but one integer or text a vector is needed")
    if vectors.shape != (len(ids), dim):
        raise ValueError(
            f"{file}: `vectors` is {vectors.shape}, but {len(ids)} ids and dim = {dim} need {(len(ids), dim)}: set dim to match"
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{file}: `vectors` holds values that are not finite: mend them")
    return [value if isinstance(value, bytes) else str(value).encode() for value in ids.tolist()], vectors
