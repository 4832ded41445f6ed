"""Names the buckets that boundaries make of a number, to slice by: `below 18`, `18 to below 25`, `25 or more`."""

from collections.abc import Sequence
from itertools import pairwise


def bucket_names(boundaries: Sequence[float]) -> list[str]:
    """The names of the buckets, from the lowest. A number at a boundary is in the bucket above it.

    Args:
        boundaries: At least one, ascending.
    """
    texts = [repr(float(boundary)).removesuffix(".0") for boundary in boundaries]
    return [f"below {texts[0]}", *(f"{low} to below {high}" for low, high in pairwise(texts)), f"{texts[-1]} or more"]
