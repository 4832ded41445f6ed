"""What an import tells its user: rows read, kept and dropped, and why."""

from collections.abc import Iterator
from typing import Any


def lines(manifest: dict[str, Any]) -> Iterator[str]:
    """The report, from the manifest of an import."""
    rows, largest = manifest["rows"], manifest["largest_user"]
    yield f"{rows['read']:,} rows read, {rows['kept']:,} kept: {manifest['users']:,} users, {manifest['items']:,} items"
    for reason, count in sorted(rows["dropped"].items(), key=lambda item: -item[1]):
        yield f"  dropped {count:,}: {reason}"
    yield from (f"    {where}" for where in rows["broken"])
    if rows["unordered"]:
        yield f"  {rows['unordered']:,} came after a later one of the same user, and were put in order"
    for reason, count in manifest["interactions_without_impression"].items():
        yield f"  {count:,} without an impression of their own: {reason}"
    if manifest["negatives_not_drawn"]:
        yield f"  {manifest['negatives_not_drawn']:,} negatives could not be drawn, since the user knows every item"
    yield f"  the largest user, {largest['user']}, has {largest['interactions']:,} interactions"
    yield f"negatives: {manifest['rules']['negatives']}"
    yield f"split: {manifest['rules']['split']}"
    rates = ", ".join(f"{rate:.1%} of {split}" for split, rate in manifest["base_rate"].items())
    yield f"clicks: {rates}"
