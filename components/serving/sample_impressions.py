"""Picks the impressions that an export is asked for before it is pushed: real ones, and rare ones of every kind of feature."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from components.base.example_reader import RAW, read_batches
from components.serving.model.data_rows import in_impression
from components.serving.model.impression_values import Impression
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import Input, data_inputs, inputs_of

CANDIDATES = 4  # of each user
_UNKNOWN = {"int64": 2**62, "bytes": "never seen"}
_LARGE = {"int64": 2**62, "float": 1e30}  # numbers that no range of training has
_BEYOND = 3  # tags beyond the most that the model reads


class Sample(NamedTuple):
    """Users, and the same number of candidates for each, with all raw columns that Transform reads."""

    users: list[Impression]
    candidates: list[list[Impression]]


def read_impressions(files: list[str], schema: Any, features: FeatureConfig) -> Iterator[Impression]:
    """Yields impressions, with bytes as text. Bytes that are not UTF-8 become Python's surrogates, which JSON keeps."""
    for batch in read_batches(files, schema):
        names = [name for name in batch.schema.names if name != RAW]
        for row in batch.select(names).to_pylist():
            yield {read.column.name: _plain(in_impression(row, read)) for read in data_inputs(features)}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def make_sample(rows: list[Impression], features: FeatureConfig) -> Sample:
    """Gives the user of each impression its own candidate and those of the next impressions, and adds four rare users.

    The first rare user has nothing that may be missing. The second has more events than the model keeps. The third has values that training
    never saw, numbers out of every range, and more tags than the model reads, also in each event. The last has such candidates.
    """
    inputs = inputs_of(features)
    of_candidate = [read for read in inputs if read.column.role == "candidate"]
    own = [{read.column.name: row.get(read.column.name) for read in of_candidate} for row in rows]
    candidates = [[own[(i + k) % len(rows)] for k in range(CANDIDATES)] for i in range(len(rows))]
    optional = [read.column.name for read in inputs if read.column.presence == "optional"]
    histories = [read.column.name for read in inputs if read.column.presence == "sequence"]
    longest = max(rows, key=lambda row: sum(len(row.get(name) or []) for name in histories))
    short = {**rows[0], **{name: [] for name in histories}, **dict.fromkeys(optional)}
    long = {**longest, **{name: _more_than(features.longest_history, longest.get(name) or []) for name in histories}}
    odd = {**longest, **_odd(longest, [read for read in inputs if read.column.role != "candidate"])}
    strange = _odd({}, of_candidate)
    missing = {name: value for name, value in strange.items() if name not in optional}
    few = dict.fromkeys(strange.keys() - missing.keys())
    rare = [strange, {**missing, **few}] * (CANDIDATES // 2)
    return Sample([*rows, short, long, odd, rows[0]], [*candidates, candidates[0], candidates[0], candidates[0], rare])


def _more_than(most: int, events: list[Any]) -> list[Any]:
    """The events again and again, until there are more than `most`; none if there are none."""
    return events * (most // max(len(events), 1) + 1)


def _odd(row: Impression, inputs: Sequence[Input]) -> Impression:
    """Returns odd values of the features that may have them; of a history, only those of its further fields."""
    result = {}
    for read in inputs:
        if read.use in ("event", "time"):
            continue
        if read.column.presence == "sequence":
            events = len(row.get(read.column.name) or [])
            result[read.column.name] = [_odd_value(read, place) for place in range(events)]
        else:
            result[read.column.name] = _odd_value(read, 0)
    return result


def _odd_value(read: Input, place: int) -> Any:
    """Returns an odd value of one impression, candidate or event; that of every second event has another sign, or is missing."""
    column = read.column
    if column.width is None:
        many = read.most + _BEYOND
        return [1.0 + k for k in range(many)] if read.use == "weight" else [_UNKNOWN[column.dtype]] * many
    if column.width != 1:
        return None if place % 2 else [0.0] * column.width
    return _LARGE[column.dtype] * (-1) ** place if column.is_number else _UNKNOWN[column.dtype]
