"""The statistics of a number's values in memory, by NumPy: what Transform's arithmetic scales it or puts it into buckets by."""

from typing import Any

import numpy as np

from din_trainer.kinds import Numeric
from din_trainer.transform.scales import quantiles_of


def statistics_of(name: str, x: np.ndarray, feature: Any) -> dict[str, Any]:
    """Measures a number, as `din_trainer.transform.scales.measure` does in the pipeline; its quantiles are exact.

    Args:
        name: The number, for messages.
        x: (S,), as it is scaled; NaN is missing.
        feature: Its definition.

    Raises:
        ValueError: There is no value at all.
    """
    numbers = x[~np.isnan(x)].astype(np.float64)
    if not len(numbers):
        raise ValueError(f"{name} has no value in any row")
    if parts := quantiles_of(feature):
        return {"quantiles": np.quantile(numbers, np.arange(1, parts) / parts, method="inverted_cdf").tolist()}
    if isinstance(feature, Numeric) and feature.scale == "minmax":
        return {"low": float(numbers.min()), "high": float(numbers.max())}
    return {"mean": float(numbers.mean()), "variance": float(numbers.var())}
