"""What a source of real data hands to the import: interactions of users with items, in batches, and what became of the other rows.

A source reads one file at a time as a stream and yields Arrow record batches with these columns, each one value a row:

    user_id                 int64 or binary
    candidate_item_id       int64 or binary
    candidate_<what>        int64 or binary, e.g. candidate_category_id: further fields of the item (optional)
    label                   int64, 1: clicked (liked, bought), 0: shown but not clicked; 1 throughout where only clicks are known
    timestamp               int64, unix seconds (optional: without it the order of the rows is the order in time)
    request_id              int64 or binary: impressions shown together (optional)
    split                   int64, index into layout.SPLITS, where the source itself is split (optional)
    historical_<what>s      lists of int64 or binary: where the source brings histories with it, none is built (optional)
    anything else           int64, binary or float: features of the user or the context, null where missing (optional)

`importing.run.import_source` makes impressions of them: order, duplicates, histories, negatives, splits, files.
"""

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

USER = USER_ID
ITEM = "candidate_item_id"
CATEGORY = "candidate_category_id"
REQUEST = REQUEST_ID
SPLIT = "split"
HISTORICAL = "historical_"
CANDIDATE = "candidate_"

BATCH_SIZE = 50_000  # rows
BROKEN_NAMED = 5


@dataclass
class Tally:
    """The rows that are not in the batches, and why. Rows read = rows in batches + rows dropped, so each row must end in either.

    Attributes:
        skip_broken: Whether broken lines are dropped and counted; else the first one ends the import.
        dropped: How many, by reason, as the report words it.
        broken: Where the first broken lines are, in words.
    """

    skip_broken: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts rows that are sound but not wanted."""
        if count:
            self.dropped[reason] += count

    def break_off(self, path: Path, line: int, fault: str, unit: str = "line") -> None:
        """Counts a line that cannot be read.

        Args:
            path: The file.
            line: From 1.
            fault: What is wrong, e.g. "rating is 'x' where a number from 0.5 to 5 belongs".
            unit: What the file has in place of lines, e.g. "row".

        Raises:
            InputError: Broken lines are not to be skipped.
        """
        if not self.skip_broken:
            raise InputError(f"{path}, {unit} {line}: {fault}: mend or remove the {unit}, or drop such {unit}s with --skip-broken.")
        self.dropped["broken lines"] += 1
        if len(self.broken) < BROKEN_NAMED:
            self.broken.append(f"{path.name}, {unit} {line}: {fault}")


class Source(Protocol):
    """A source of interactions.

    Attributes:
        name: In the manifest.
        schema: Of the batches.
        rules: How rows become interactions, by topic (label, category, …), for the manifest.
        has_negatives: Whether label 0 occurs: impressions or ratings; else negatives are sampled.
        history: "earlier": a history holds clicks with a strictly earlier timestamp; "before": all clicks before in order, for sources
            whose clock is coarse.
        repeats: What counts of a user's interactions with one item: "latest" alone (ratings), or "all" but exact repetitions.
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
        """The files of interactions, each read by itself.

        Raises:
            InputError: One is missing.
        """
        ...

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """The interactions of a file, in its order, at most `BATCH_SIZE` a batch; what is left out is told to `tally`.

        Raises:
            InputError: The file, or a line of it, cannot be read.
        """
        ...
