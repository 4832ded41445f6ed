"""Says in sentences what a warm start took over, for the terminal."""

from typing import Any


def warm_start_lines(warm_start: dict[str, Any] | None) -> list[str]:
    """Returns one line on the values of the vocabularies, and one for each weight that was not taken over whole.

    Args:
        warm_start: From the summary; None without a warm start.
    """
    if not warm_start:
        return []
    counts = [
        f"{name} {row['kept']:,} kept, {row['new']:,} new, {row['dropped']:,} dropped"
        for name, row in warm_start.get("vocabularies", {}).items()
    ]
    first = f"started from run {warm_start['from']}" + (f": {'; '.join(counts)}" if counts else "")
    return [first, *(f"not kept: {row['what']}: {row['why']}" for row in warm_start.get("not_kept", []))]
