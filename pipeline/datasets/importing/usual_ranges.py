"""What is usual for an import. A value outside becomes a warning, since it often means that a column or a unit was misunderstood.

docs/data.md has the same ranges in a table.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.datasets.importing.impression_maker import TIED_CLICK

FIRST_YEAR = 1995
MOST_EMPTY_HISTORIES = 0.5  # of the impressions of a split
LEAST_KNOWN_EVENTS = 0.5  # of the events of histories
CLICK_RATE_FACTOR = 2  # between train and eval
LARGEST_SHARE = 0.1  # of all rows, for one user or one item …
LARGEST_FACTOR = 10  # … and so many times the average of all users or items
MOST_UNKNOWN = 0.5  # of the rows, for one field of the candidate
MOST_MISSING = 0.9  # of the rows, for one feature
MOST_BROKEN = 0.01  # of the rows
MOST_DROPPED = 0.5  # of the rows


def warnings(manifest: dict[str, Any]) -> list[str]:
    """Returns one sentence for each value of an import that is outside the usual range, from its manifest."""
    checks = (_rows, _times, _histories, _click_rates, _largest, _fields, _texts)
    return [found for check in checks for found in check(manifest)]


def coarse_clock(manifest: dict[str, Any]) -> str:
    """Says that a clock is too coarse for histories of strictly earlier clicks, and what helps."""
    helps = 'set history = "before" in the mapping, so that the order of the rows counts'
    if manifest["source"] != "clicklog":
        helps = "the clock of this source is coarse"
    return f"the user's clicks before have the same time: {helps}"


def utc(seconds: int) -> str:
    """Returns unix seconds as a date with hour and minute, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _rows(manifest: dict[str, Any]) -> Iterator[str]:
    rows = manifest["rows"]
    yield from (f"{count:,}: {what}" for what, count in rows["warnings"].items())
    read, broken = rows["read"], rows["dropped"].get("broken lines", 0)
    if broken > MOST_BROKEN * read:
        yield f"{broken / read:.1%} of the rows are broken: look at the first ones above, the mapping or the file may be wrong"
    if read - rows["kept"] > MOST_DROPPED * read:
        yield f"{1 - rows['kept'] / read:.1%} of the rows were dropped: check that the reasons above are what you expect"


def _times(manifest: dict[str, Any]) -> Iterator[str]:
    span = manifest["time_range"]
    if span is None:
        return
    year_after_next = datetime.now(UTC).year + 2
    outside = [time for time in span.values() if not _unix(FIRST_YEAR) <= time < _unix(year_after_next)]
    if outside:
        between = f"before {FIRST_YEAR}" if outside[0] < _unix(FIRST_YEAR) else f"after {year_after_next - 1}"
        yield f"the times reach to {utc(outside[0])} UTC, which is {between}: check the unit of the times, or remove the rows"


def _unix(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


def _histories(manifest: dict[str, Any]) -> Iterator[str]:
    empty, tied = manifest["empty_histories"], manifest["tied_histories"]
    left_out, clicks = manifest["interactions_without_impression"].get(TIED_CLICK, 0), manifest["clicks"]
    many = [f"{share:.1%} of {split}" for split, share in empty.items() if share is not None and share > MOST_EMPTY_HISTORIES]
    if many:
        reason = "check that user_id is the user, and that users have more than one or two rows"
        if tied:
            reason = f"in {tied:,} impressions only because {coarse_clock(manifest)}"
        yield f"histories are empty in {', '.join(many)}; {reason}"
    if left_out > MOST_EMPTY_HISTORIES * clicks:
        yield f"{left_out / clicks:.1%} of the clicks are in histories alone, only because {coarse_clock(manifest)}"
    known = manifest["known_history_events"]
    if known is not None and known < LEAST_KNOWN_EVENTS:
        yield (
            f"{known:.1%} of the events of histories are ever a candidate: check the separator and the type of the histories, "
            "that they hold ids of the same kind as candidate_item_id, and that values which only fill them up, such as 0, are in [missing]"
        )


def _click_rates(manifest: dict[str, Any]) -> Iterator[str]:
    rates = {split: rate for split, rate in manifest["base_rate"].items() if rate is not None}
    for split in (split for split, rate in rates.items() if rate in (0, 1)):
        yield f"all impressions of {split} are {'clicks' if rates[split] else 'without a click'}: din run refuses that; check the label"
    train, evaluation = rates.get("train", 0), rates.get("eval", 0)
    if 0 < train < 1 and 0 < evaluation < 1 and max(train, evaluation) > CLICK_RATE_FACTOR * min(train, evaluation):
        yield (
            f"the click rate of eval ({evaluation:.1%}) is far from that of train ({train:.1%}): "
            "check that the two hold the same kind of impressions"
        )


def _largest(manifest: dict[str, Any]) -> Iterator[str]:
    for what in ("user", "item"):
        largest = manifest[f"largest_{what}"]
        share = largest["interactions"] / manifest["rows"]["kept"]
        if share > max(LARGEST_SHARE, LARGEST_FACTOR / manifest[f"{what}s"]):
            yield f"the {what} {largest[what]} has {share:.1%} of the rows: check whether this id means that the {what} is not known"


def _fields(manifest: dict[str, Any]) -> Iterator[str]:
    values = manifest["values"]
    for name, share in values["unknown"].items():
        if share > MOST_UNKNOWN:
            yield f"{name} is (unknown) in {share:.1%} of the rows: check the column or the file that gives it"
    for name, count in values["distinct"].items():
        if count == 1 and values["unknown"].get(name, 0) <= MOST_UNKNOWN and manifest["items"] > 1:
            yield f"{name} has the same value for all items, so nothing can be learnt from it: check the column or the file that gives it"
    for name, share in values["missing"].items():
        if share > MOST_MISSING:
            yield f"{name} is missing in {share:.1%} of the rows: check the column"


def _texts(manifest: dict[str, Any]) -> Iterator[str]:
    advice = ", list it in [missing] of the mapping" if manifest["source"] == "clicklog" else ", remove it from the source"
    for found in manifest["values"]["missing_markers"]:
        yield f'{found["feature"]} is "{found["text"]}" in {found["count"]:,} values: if that means that there is no value{advice}'
    for name, count in manifest["values"]["blank_ends"].items():
        yield f"{name} begins or ends with a blank in {count:,} values, and values with and without it are different: remove it"
    for name, count in manifest["values"]["rounded"].items():
        yield f"{name} is a rounded number such as 1.23E+15 in {count:,} values, so several ids may be one: export the data again, as text"
