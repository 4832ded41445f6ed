"""What the check of one shard found. It is kept in the workspace, so that a shard is not read again as long as it stays the same."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from components.base.atomic_files import write_whole
from components.base.shards import ShardState


class ShardFacts(BaseModel):
    """What a shard holds.

    Attributes:
        examples: Number of impressions.
        labels: The labels that occur.
        weighted: The labels of the impressions whose weight is above 0; empty without weights.
        columns: Type (`int64`, `float` or `bytes`) by name of a column.
        with_values: The declared features of which some impression has a value.
        further: The further labels that occur, by label.
        cut: How many values are cut or guessed, as `pipeline.run.checks.cut_values.count_cut` returns it.
        sha256: The hash of the shard's bytes.
    """

    examples: int = 0
    labels: set[int] = set()
    weighted: set[int] = set()
    columns: dict[str, str] = {}
    with_values: set[str] = set()
    further: dict[str, set[int]] = {}
    cut: Counter[str] = Counter()
    sha256: str = ""

    def add(self, other: "ShardFacts") -> None:
        """Adds what another shard holds."""
        self.examples += other.examples
        self.labels |= other.labels
        self.weighted |= other.weighted
        self.columns |= other.columns
        self.with_values |= other.with_values
        self.further = {name: self.further.get(name, set()) | seen for name, seen in other.further.items()}
        self.cut += other.cut


class _Known(BaseModel):
    state: ShardState
    facts: ShardFacts


class KnownShards:
    """The facts of shards that were sound when an earlier run read them, by the path of the shard."""

    def __init__(self, known: dict[str, _Known]):
        self._known = known
        self._used: dict[str, _Known] = {}

    def get(self, path: Path, state: ShardState) -> ShardFacts | None:
        """Returns the facts of a shard; None if it is new or has changed."""
        known = self._known.get(str(path))
        if known is None or known.state != state:
            return None
        self._used[str(path)] = known
        return known.facts

    def put(self, path: Path, state: ShardState, facts: ShardFacts) -> None:
        """Keeps the facts of a sound shard."""
        self._used[str(path)] = _Known(state=state, facts=facts)

    def lines(self) -> Iterator[str]:
        """The shards of this run, as JSON."""
        yield json.dumps({path: known.model_dump(mode="json") for path, known in self._used.items()})


@contextmanager
def known_shards(file: Path | None) -> Iterator[KnownShards]:
    """Reads what earlier runs found from a file, and at the end writes what this run found. None keeps nothing.

    A file that cannot be read is as good as none.
    """
    known: dict[str, _Known] = {}
    if file is not None and file.is_file():
        try:
            known = {path: _Known.model_validate(entry) for path, entry in json.loads(file.read_text()).items()}
        except (OSError, ValueError, AttributeError, ValidationError):
            known = {}
    shards = KnownShards(known)
    yield shards
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, shards.lines())
