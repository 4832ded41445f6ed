"""Puts counts into buckets, to slice by: 0, 1-2, 3-5, 6-10, 11-20, 21-50, 51-100, 101-200, …"""

import itertools


def bucket(count: int) -> str:
    """The name of the bucket that contains a count."""
    if count <= 0:
        return "0"
    below, bounds = 0, (step * 10**decade for decade in itertools.count() for step in (2, 5, 10))
    while (bound := next(bounds)) < count:
        below = bound
    return f"{below + 1}-{bound}"


def is_bucket(text: str) -> bool:
    """Whether a text is the name of a bucket."""
    end = text.rpartition("-")[2]
    return end.isdecimal() and bucket(int(end)) == text
