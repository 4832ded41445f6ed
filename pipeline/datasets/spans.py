"""Data sets of spans: a folder with one folder for each day (`day=2026-11-24/`) or each number (`span-7/`), found, named and ordered here.

DATA/day=YYYY-MM-DD/impressions/*.tfrecord.gz          a day, or
DATA/day=YYYY-MM-DD/{train,validation,eval}/*           a day with splits of its own
DATA/day=YYYY-MM-DD/{manifest.json,sample.jsonl}        as in every data set
"""

import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from components.base.errors import DataError, InputError
from components.base.shards import SPAN_SPLIT, shard_files
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.manifest import differing_counts

IMPRESSIONS = SPAN_SPLIT  # the folder of a span without splits of its own
LATEST = "latest"

_EPOCH = date(1970, 1, 1)
_DAY = re.compile(r"day=((?:19[7-9]|[2-9]\d\d)\d-\d{2}-\d{2})")  # from 1970 on
_NUMBER = re.compile(r"span-(0|[1-9]\d{0,8})")
_ADVICE = "name spans day=YYYY-MM-DD or span-N (without leading zeros)"


def day_number(day: date) -> int:
    """TFX's number of a day: the days since 1970-01-01."""
    return (day - _EPOCH).days


def day_of(timestamp: int) -> date:
    """The day of a time in unix seconds, in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).date()


def day_folder(day: date) -> str:
    """The name of a day's folder."""
    return f"day={day.isoformat()}"


class Span(NamedTuple):
    """A span of a data set.

    Attributes:
        number: TFX's number of the span: N of `span-N`, or the days since 1970-01-01.
        folder: The folder, absolute.
    """

    number: int
    folder: Path

    @property
    def is_day(self) -> bool:
        return self.folder.name.startswith("day=")

    @property
    def name(self) -> str:
        """`2026-11-24` or `span-7`."""
        return self.folder.name.removeprefix("day=")

    @property
    def has_splits(self) -> bool:
        """Whether the span has splits of its own."""
        return not (self.folder / IMPRESSIONS).is_dir()

    @property
    def pattern(self) -> str:
        """The files of all spans, as TFX's ExampleGen finds them below the data set."""
        span = "day={YYYY}-{MM}-{DD}" if self.is_day else "span-{SPAN}"
        return f"{span}/*/*" if self.has_splits else f"{span}/{IMPRESSIONS}/*"

    def shards(self) -> list[Path]:
        """All files of the span, in the order in which they are read, whatever split they are in.

        Raises:
            DataError: There are none, or the folder has both `impressions/` and splits, or a folder that is neither.
        """
        folders = _folders(self.folder)
        names = {folder.name for folder in folders}
        if strange := sorted(names - {IMPRESSIONS, *SPLITS}):
            raise DataError(f"{self.folder / strange[0]} is no part of a span, which has {_parts()}: move it away.")
        if IMPRESSIONS in names and len(names) > 1:
            raise DataError(f"{self.folder} has both {IMPRESSIONS}/ and splits: a span has {_parts()}.")
        found = [shard for folder in folders for shard in shard_files(folder)]
        if not found:
            raise DataError(f"{self.folder} holds no TFRecord files: a span has them in {_parts()}.")
        return found

    def differing_counts(self, found: int) -> list[str]:
        """A sentence if the span has another number of impressions than its manifest says.

        Raises:
            DataError: The manifest cannot be read.
        """
        return [] if self.has_splits else differing_counts(self.folder, {IMPRESSIONS: found})


def _parts() -> str:
    return f"{IMPRESSIONS}/, or in {', '.join(f'{split}/' for split in SPLITS)}"


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._" and path.is_dir())


def has_spans(data: Path) -> bool:
    """Whether a folder has spans in it instead of splits."""
    return data.is_dir() and any(_DAY.fullmatch(path.name) or _NUMBER.fullmatch(path.name) for path in _folders(data))


def find_spans(data: Path) -> list[Span]:
    """Returns the spans of a data set, oldest first.

    Raises:
        DataError: There are none, a folder has another name, or days and numbers are mixed.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder: give --data the folder that holds the spans, or leave out --span.")
    spans = sorted(Span(_number(folder), folder.absolute()) for folder in _folders(data))
    if not spans:
        raise DataError(f"{data} holds no spans: {_ADVICE}, or leave out --span.")
    if len({span.is_day for span in spans}) > 1:
        raise DataError(f"{data} holds both days and numbered spans, which have no common order: keep them in two data sets.")
    return spans


def _number(folder: Path) -> int:
    if found := _NUMBER.fullmatch(folder.name):
        return int(found[1])
    if found := _DAY.fullmatch(folder.name):
        with contextlib.suppress(ValueError):  # such as 2026-02-30
            return day_number(date.fromisoformat(found[1]))
    raise DataError(f"{folder} is no span: {_ADVICE}, and keep other folders elsewhere.")


def choose_span(spans: Sequence[Span], asked: str, hold_back: int = 0) -> Span:
    """Returns the span that `--span` names.

    Args:
        spans: Those of the data set, oldest first.
        asked: `latest`, a day (`2026-11-24` or the folder's name), or a number.
        hold_back: So many of the last days (or numbers), counted from the newest span, are not taken for `latest`.

    Raises:
        InputError: There is no such span.
    """
    if asked == LATEST:
        ready = ready_spans(spans, hold_back)
        if not ready:
            raise InputError(
                f"No span of {spans[0].folder.parent} is old enough: spans.hold_back is {hold_back}, and {spans[0].name} is the oldest."
            )
        return ready[-1]
    for span in spans:
        if asked in (span.name, span.folder.name) or (asked == str(span.number) and not span.is_day):
            return span
    known = f"{spans[0].name} … {spans[-1].name}" if len(spans) > 1 else spans[0].name
    raise InputError(f"{spans[0].folder.parent} has no span {asked!r}: --span can be latest, or one of {known}.")


def ready_spans(spans: Sequence[Span], hold_back: int) -> list[Span]:
    """Returns the spans that are at least `hold_back` days (or numbers) older than the newest one."""
    return [span for span in spans if span.number <= spans[-1].number - hold_back]


def spans_before(spans: Sequence[Span], newest: Span, window: int) -> list[Span]:
    """Returns the spans of the `window` days (or numbers) before a span, oldest first. Days may be missing.

    Raises:
        DataError: None of them is there.
    """
    found = [span for span in spans if newest.number - window <= span.number < newest.number]
    if not found:
        raise DataError(
            f"{newest.folder.parent} has no span in the window of {window} before {newest.name}, so there is nothing to train on: "
            "use a wider --window, or run a newer span."
        )
    return found


def missing_names(newest: Span, window: Sequence[Span]) -> list[str]:
    """Returns the names of the spans that the window of a span lacks between its oldest one there and the newest span."""
    numbers = {span.number for span in window}
    return [span_name(newest, number) for number in range(min(numbers), newest.number) if number not in numbers]


def span_number(name: str) -> int:
    """Returns the number of the span with a name, such as `2026-11-24` or `span-7`."""
    return int(name.removeprefix("span-")) if name.startswith("span-") else day_number(date.fromisoformat(name))


def span_name(like: Span, number: int) -> str:
    """Returns the name of the span with a number, in a data set that has the span `like`."""
    return (_EPOCH + timedelta(days=number)).isoformat() if like.is_day else f"span-{number}"
