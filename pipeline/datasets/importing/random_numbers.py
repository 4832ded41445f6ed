"""Random numbers that depend only on a key and a seed, so that the number of parts does not change what is drawn."""

import numpy as np
import pyarrow as pa
from pandas.util import hash_array


def hashes(keys: pa.Array | np.ndarray, seed: int = 0) -> np.ndarray:
    """(N,) int64 or bytes -> (N,) uint64, spread evenly."""
    values = keys if isinstance(keys, np.ndarray) else keys.to_numpy(zero_copy_only=False)
    mixed = hash_array(values, categorize=False)
    return hash_array(mixed ^ hash_array(np.array([seed], np.int64)))


def uniform(keys: pa.Array | np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64 or bytes -> (N,) float64 in [0, 1)."""
    return (hashes(keys, seed) >> np.uint64(11)) * 2.0**-53
