"""What a source of real data must provide: batches of interactions of users with items, and a count of the rows that it leaves out.

A source reads one file at a time as a stream and yields Arrow record batches with these columns. "A field" is one value (int64, binary or
float), a list of tags (int64 or binary), a list of their weights (float), or a vector (a list of floats of fixed size):

    user_id                 int64 or binary
    candidate_item_id       int64 or binary
    candidate_<what>        a field of the item, e.g. candidate_category_id (optional). Its history is `historical_<what>s`; none is built
                            where the schema says `WITHOUT_HISTORY`. Floats, lists and vectors may be null
    label                   int64, 1: clicked (liked, bought), 0: shown but not clicked; always 1 where only clicks are known
    timestamp               int64, unix seconds (optional: without it the order of the rows is the order in time)
    request_id              int64 or binary: impressions shown together (optional)
    split                   int64, index into layout.SPLITS, where the source is already split (optional)
    historical_<what>s      lists, as `event_fields` describes them: where the source has histories; then none is built (optional)
    __event_<what>          one value: what is known of a click only after it. Histories of later impressions have it, as
                            `historical_<what>`; the impression itself does not (optional)
    anything else           bool: a further label. A field of the item where the schema says `OF_CANDIDATE`; none is drawn with a negative.
                            Otherwise a field of the user or the context, null where missing (optional)

`importing.import_source` makes impressions of them: it sorts them, drops repetitions, builds histories, draws negatives and splits.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from components.base.errors import InputError
from din_trainer.features import LABEL as LABEL
from din_trainer.features import REQUEST_ID, USER_ID
from din_trainer.features import TIMESTAMP as TIMESTAMP
from pipeline.datasets.tables.raw_rows import BATCH_SIZE as BATCH_SIZE

USER = USER_ID
ITEM = "candidate_item_id"
CATEGORY = "candidate_category_id"
REQUEST = REQUEST_ID
SPLIT = "split"
HISTORICAL = "historical_"
CANDIDATE = "candidate_"
EVENT = "__event_"
HISTORICAL_ITEMS = f"{HISTORICAL}item_ids"
WITHOUT_HISTORY = {b"history": b"no"}  # metadata of a field of the candidate
OF_CANDIDATE = {b"role": b"candidate"}  # metadata of a field of the candidate, whatever its name

BROKEN_NAMED = 5
_BREAKS = re.compile(rb"[\r\n\0]")


def history_name(field: pa.Field) -> str | None:
    """Returns the history that is built of a column; None if none is. The name of tags is in the plural already."""
    if field.name.startswith(EVENT):
        return HISTORICAL + field.name.removeprefix(EVENT)
    if not field.name.startswith(CANDIDATE) or (field.metadata or {}).items() >= WITHOUT_HISTORY.items():
        return None
    what = field.name.removeprefix(CANDIDATE)
    return f"{HISTORICAL}{what}{'' if pa.types.is_list(field.type) and what.endswith('s') else 's'}"


def further_labels(schema: pa.Schema) -> list[str]:
    """Returns the names of the labels besides `label`."""
    return [field.name for field in schema if pa.types.is_boolean(field.type)]


def breaks_line(value: bytes) -> bool:
    """Whether bytes have a line end or NUL in them. They fit in no file of a vocabulary, so a row that holds them is broken."""
    return _BREAKS.search(value) is not None


@dataclass
class Tally:
    """Counts the rows that are not in the batches. Rows read = rows in batches + rows dropped, so each row must be in one of the two.

    Attributes:
        skip_broken: Whether broken lines are dropped and counted; if not, the first one ends the import.
        dropped: How many rows were dropped, by reason, in the words of the report.
        broken: Where the first broken lines are, in words.
        notes: What was understood without being said by the user, with the number of values, e.g. whole numbers written as 25.0.
        warnings: What is likely not meant, with the number of values, e.g. users called NA.
    """

    skip_broken: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts rows that are correct but not wanted."""
        if count:
            self.dropped[reason] += count

    def note(self, what: str, count: int) -> None:
        """Counts values that were understood in a way that the user has not said; `what` follows the count in the report."""
        if count:
            self.notes[what] += count

    def warn(self, what: str, count: int) -> None:
        """Counts values that are likely not meant; `what` follows the count in the report."""
        if count:
            self.warnings[what] += count

    def note_side_file(self, path: Path, own: "Tally", key: str = ITEM) -> None:
        """Takes over what the reading of a file about items or users has counted by a tally of its own: its lines are no interactions."""
        self.broken += own.broken
        self.note(f"broken lines of {path.name}, whose {'users' if key == USER else 'items'} count as unknown", own.dropped.total())

    def count_broken(self, path: Path, line: int, fault: str, unit: str = "line") -> None:
        """Counts a line that cannot be read.

        Args:
            path: The file.
            line: From 1.
            fault: What is wrong, e.g. "rating is 'x', but must be a number from 0.5 to 5".
            unit: What the number counts: "line" or "row".

        Raises:
            InputError: Broken lines are not skipped.
        """
        if not self.skip_broken:
            raise InputError(f"{path}, {unit} {line}: {fault}: correct or remove the {unit}, or drop such {unit}s with --skip-broken.")
        self.dropped["broken lines"] += 1
        if len(self.broken) < BROKEN_NAMED:
            self.broken.append(f"{path.name}, {unit} {line}: {fault}")


class Source(Protocol):
    """A source of interactions.

    Attributes:
        name: The name in the manifest.
        schema: The columns of the batches.
        rules: How rows become interactions, by topic (label, category, …), for the manifest.
        has_negatives: Whether label 0 occurs, as in impressions and ratings; if not, negatives are sampled.
        history: "earlier": a history holds the clicks with a strictly earlier timestamp; "before": all clicks that come earlier in order,
            for sources whose clock is coarse.
        repeats: Which of a user's interactions with one item count: only the "latest" (ratings), or "all" except exact repetitions.
    """

    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> pa.Schema: ...
    @property
    def rules(self) -> dict[str, str]: ...
    @property
    def has_negatives(self) -> bool: ...
    @property
    def history(self) -> Literal["earlier", "before"]: ...
    @property
    def repeats(self) -> Literal["latest", "all"]: ...

    def files(self) -> list[Path]:
        """Returns the files of interactions; each one is read without the others.

        Raises:
            InputError: A file is missing.
        """
        ...

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the interactions of a file, in its order, at most `BATCH_SIZE` in a batch; `tally` counts what is left out.

        Raises:
            InputError: The file, or a line of it, cannot be read.
        """
        ...
