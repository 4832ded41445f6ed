"""What an import reports: rules and counts for the manifest, and the lines that the user reads."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.splits import split_rule
from pipeline.datasets.importing.usual_ranges import utc
from pipeline.datasets.sources.interactions import BROKEN_NAMED, HISTORICAL, TIMESTAMP, Source


def lines(manifest: dict[str, Any]) -> Iterator[str]:
    """Yields the lines for the user, from the manifest of an import."""
    rows, largest = manifest["rows"], manifest["largest_user"]
    yield f"{rows['read']:,} rows read, {rows['kept']:,} kept: {manifest['users']:,} users, {manifest['items']:,} items"
    for reason, count in sorted(rows["dropped"].items(), key=lambda item: -item[1]):
        yield f"  dropped {count:,}: {reason}"
    yield from (f"    {where}" for where in rows["broken"])
    yield from (f"  noted {count:,}: {what}" for what, count in rows["notes"].items())
    if rows["unordered"]:
        yield f"  {rows['unordered']:,} came after a later one of the same user, and were put in order"
    for reason, count in manifest["interactions_without_impression"].items():
        yield f"  {count:,} without an impression of their own: {reason}"
    for name, count in manifest["fields_of_first_row"].items():
        yield f"  {count:,} have another {name} than their item's first row, and got that of the first row"
    if manifest["negatives_not_drawn"]:
        yield f"  {manifest['negatives_not_drawn']:,} negatives could not be drawn, since the user knows every item"
    yield f"  the largest user, {largest['user']}, has {largest['interactions']:,} interactions"
    span = manifest["time_range"]
    yield f"times: {utc(span['first'])} to {utc(span['last'])} UTC" if span else "times: none; the rows are in the order of time"
    for name, kind in (("missing", "without a value"), ("unknown", "(unknown)")):
        if shares := manifest["values"][name]:
            yield f"{kind}: {', '.join(f'{feature} {share:.1%}' for feature, share in shares.items())}"
    yield from (f"{topic}: {rule}" for topic, rule in manifest["rules"].items())
    yield f"empty histories: {_by_split(manifest['empty_histories'])}"
    if manifest["known_history_events"] is not None:
        yield f"events of histories whose item is ever a candidate: {manifest['known_history_events']:.1%}"
    yield f"clicks: {_by_split(manifest['base_rate'])}"
    yield from (f"{label}: {_by_split(rates)}" for label, rates in manifest["label_rates"].items())
    yield from (f"warning: {warning}" for warning in manifest["warnings"])


def _by_split(shares: dict[str, float | None]) -> str:
    return ", ".join(f"{share:.1%} of {split}" for split, share in shares.items() if share is not None)


def import_rules(source: Source, settings: ImportSettings) -> dict[str, str]:
    """Returns the rules of an import in words, for the manifest."""
    before = {"earlier": "strictly earlier than the impression (same second: not in it)", "before": "before it in order"}
    timeless = TIMESTAMP not in source.schema.names
    brings_histories = any(name.startswith(HISTORICAL) for name in source.schema.names)
    clicks = before["before" if timeless else source.history]
    alike = "every item alike" + (", if it was seen by the end of the day" if settings.spans else "")
    drawn = {"uniform": alike, "popularity": "items in proportion to their clicks in train and in histories alone"}
    return {
        "order": "the order of the source" if timeless else "time, then the order of the source",
        "history": "as the source has it"
        if brings_histories
        else f"the user's clicks {clicks}, oldest first, the most recent {settings.history_length}",
        "negatives": f"{settings.negatives_per_positive} a click, drawn by seed {settings.seed}, {drawn[settings.negatives]}, "
        "never one that the user has interacted with at any time; an item's category is the one that it is first seen with"
        if settings.negatives in drawn
        else "observed",
        "split": split_rule(settings),
    }


def row_report(read: list[dict[str, Any]], ordered: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the counts of the source's rows (read = kept + dropped), and what the source noted about their values."""
    tallies = [result["tally"] for result in read]
    dropped = _total([*(tally.dropped for tally in tallies), *(part["dropped"] for part in ordered)])
    kept = sum(part["interactions"] for part in ordered)
    return {
        "read": kept + sum(dropped.values()),
        "kept": kept,
        "dropped": dropped,
        "broken": [where for tally in tallies for where in tally.broken][:BROKEN_NAMED],
        "notes": _total(tally.notes for tally in tallies),
        "warnings": _total(tally.warnings for tally in tallies),
        "unordered": sum(part["unordered"] for part in ordered),
    }


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def time_range(table: pa.Table) -> dict[str, int] | None:
    if TIMESTAMP not in table.column_names or not table.num_rows:
        return None
    return {"first": pc.min(table[TIMESTAMP]).as_py(), "last": pc.max(table[TIMESTAMP]).as_py()}


def joined_range(ranges: Iterable[dict[str, int] | None]) -> dict[str, int] | None:
    known = [span for span in ranges if span]
    return {"first": min(span["first"] for span in known), "last": max(span["last"] for span in known)} if known else None
