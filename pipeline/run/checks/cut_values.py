"""Counts what Transform will cut or guess: tags beyond the most that are read, numbers outside their range, missing positions."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from din_trainer.features import FeatureConfig
from din_trainer.kinds import MISSING, Numeric, Tags
from pipeline.run.checks.checked_batch import CheckedBatch

_TAGS, _CLIP, _GUESSED, _LAST = "tags", "clip", "guessed", "last"


def count_cut(batch: CheckedBatch, features: FeatureConfig) -> Counter[str]:
    """Returns how many values of a batch are cut or guessed, by the kind of the change and the feature, as `KIND FEATURE`."""
    found: Counter[str] = Counter()
    for name, _, _, feature in features.placed:
        if isinstance(feature, Tags) and name in batch.names:
            found[f"{_TAGS} {name}"] = _tags_beyond(batch, name, feature)
        if isinstance(feature, Numeric) and feature.clip and name in batch.names:
            numbers = batch.numbers(name)
            found[f"{_CLIP} {name}"] = int(((numbers < feature.clip[0]) | (numbers > feature.clip[1])).sum())
    for name, position in features.position.items():
        there = batch.numbers(name)[batch.numbers(name) != MISSING["int64"]]
        found[f"{_GUESSED} {name}"] = batch.size - len(there)
        found[f"{_LAST} {name}"] = int((there >= position.positions).sum())
    return +found


def _tags_beyond(batch: CheckedBatch, name: str, feature: Tags) -> int:
    """How many tags are behind the first `most` of their impression or event."""
    values = batch.numbers(name)
    slots = batch.rows(name)
    if feature.lengths:
        lengths = batch.numbers(feature.lengths)
        slots = np.repeat(np.arange(len(lengths)), lengths)
    each = np.bincount(slots[values != MISSING[feature.dtype]])
    return int(np.maximum(each - feature.most, 0).sum())


def cut_notes(found: Mapping[str, int], features: FeatureConfig) -> Iterator[str]:
    """Yields a sentence for each kind of change that `count_cut` found."""
    declared = {placed.name: placed.feature for placed in features.placed}
    for key, count in sorted(found.items()):
        kind, name = key.split(" ", 1)
        if kind == _TAGS:
            yield f"{name}: {count:,} values are left out, since only the first {declared[name].most} of a list are read (most)."
        elif kind == _CLIP:
            low, high = declared[name].clip
            yield f"{name}: {count:,} numbers are outside clip = [{low:g}, {high:g}], and count as the nearer end."
        elif kind == _GUESSED:
            yield f"{name}: {count:,} impressions have no position, and count as shown at {features.position[name].serving} (serving)."
        else:
            last = features.position[name].positions - 1
            yield f"{name}: {count:,} impressions have a position above {last}, and count as shown there (positions)."
