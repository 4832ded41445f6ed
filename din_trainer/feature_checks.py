"""What a feature definition refuses: what its parts allow each by itself, but not together."""

import re
from collections import Counter
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from din_trainer.kinds import Bucketized, Categorical, Cross, Hashed, Numeric, Tags, TimeGap, Vector

LONG_HISTORY = "long_history"  # stands for the events that are chosen from a long history, where sequences have names

if TYPE_CHECKING:
    from din_trainer.features import FeatureConfig

_NAME = "[A-Za-z][A-Za-z0-9_]{0,99}"  # TensorFlow changes other names of a signature's inputs
_RESERVED = {"label", "examples", ""}


def check_features(features: "FeatureConfig") -> None:
    """Checks a feature definition.

    Raises:
        ValueError: Two parts contradict each other; the sentence says which.
    """
    _check_lengths(features)
    _check_behaviours(features)
    _check_user(features)
    _check_events(features)
    _check_crosses(features)
    _check_lookups(features)
    _check_labels(features)
    _check_names(features)


def _check_lengths(features: "FeatureConfig") -> None:
    long = features.long_history_length
    if long is not None and long <= features.history_length:
        raise ValueError(
            f"long_history_length ({long}) must be larger than history_length ({features.history_length}), which has the most recent events"
        )
    if long is not None and LONG_HISTORY in features.sequences:
        raise ValueError(f"a sequence is called {LONG_HISTORY!r}, which is the name of the events chosen from a long history: rename it")


def _check_behaviours(features: "FeatureConfig") -> None:
    for name, behaviour in features.behaviours.items():
        shared = features.behaviours.get(behaviour.vocabulary or name)
        if shared is None or shared.vocabulary:
            raise ValueError(f"behaviours.{name}.vocabulary names {behaviour.vocabulary!r}, which has no vocabulary of its own")
        twin = next(other for other, b in features.behaviours.items() if b.candidate == behaviour.candidate)
        if features.vocabulary_of(twin) is not features.vocabulary_of(name):
            raise ValueError(f"behaviours {twin!r} and {name!r} share {behaviour.candidate!r}, so give one the other's vocabulary")


def _check_user(features: "FeatureConfig") -> None:
    user = features.user.get("user_id")
    if isinstance(user, Tags | Vector | Cross):
        raise ValueError(f"user.user_id is one value, by which metrics and intervals group impressions: it cannot be of kind {user.kind!r}")


def _check_events(features: "FeatureConfig") -> None:
    for sequence in features.events:
        if sequence not in features.sequences:
            raise ValueError(f"events.{sequence} names no sequence: there are {', '.join(features.sequences)}")
    for name, role, sequence, feature in features.placed:
        where = f"events.{sequence}.{name}" if sequence else f"{role}.{name}"
        if sequence and isinstance(feature, Cross):
            raise ValueError(f"{where} is a cross, which an event cannot have")
        if sequence and isinstance(feature, Categorical) and not feature.embed:
            raise ValueError(f"{where} has embed = false, but an event has no use for it: remove it")
        if isinstance(feature, TimeGap) and feature.lookup:
            raise ValueError(f"{where} is the time of an event, which only the data has: remove lookup")
        if not sequence and isinstance(feature, TimeGap):
            raise ValueError(f"{where} is a time gap, which only events have: put it into features.events")
        if isinstance(feature, Tags) and bool(feature.lengths) != bool(sequence):
            say = "needs lengths: the column with the number of tags of each event" if sequence else "has lengths, which only events have"
            raise ValueError(f"{where} {say}")


def _check_crosses(features: "FeatureConfig") -> None:
    role_by_feature: dict[str, str] = {b.candidate: "candidate" for b in features.behaviours.values()}
    role_by_feature |= {p.name: p.role for p in features.placed if isinstance(p.feature, Categorical | Hashed | Bucketized)}
    not_asked = _not_embedded(features)
    for name, role, _, feature in features.placed:
        for part in feature.of if isinstance(feature, Cross) else ():
            if role_by_feature.get(part, "behaviour") == "behaviour":
                raise ValueError(f"{role}.{name} crosses {part!r}, which is no categorical, hashed or bucketized feature")
            if part in not_asked:
                raise ValueError(f"{role}.{name} crosses {part!r}, which has embed = false, so that no request has it")
            if role_by_feature[part] == "candidate" != role:
                raise ValueError(
                    f"{role}.{name} crosses {part!r} of the candidate, so it belongs to the candidate: features.candidate.{name}"
                )
        if isinstance(feature, Cross) and len(set(feature.of)) < len(feature.of):
            raise ValueError(f"{role}.{name} crosses a feature with itself")


def _check_lookups(features: "FeatureConfig") -> None:
    """Each attribute of a table must belong to whom the ids belong to."""
    items: dict[str, list[str]] = {}
    for behaviour in features.behaviours.values():
        if not behaviour.lookup:
            items.setdefault(behaviour.candidate, []).append(behaviour.sequence)
    role_by_key = {p.name: p.role for p in features.placed if isinstance(p.feature, Categorical | Hashed) and not p.feature.lookup}
    role_by_key |= dict.fromkeys(items, "candidate")
    for name, lookup in features.lookups.items():
        if role_by_key.get(lookup.of, "behaviour") == "behaviour":
            raise ValueError(f"lookups.{name}.of names {lookup.of!r}, which is no feature with one id that the data has")
        if lookup.of in _not_embedded(features):
            raise ValueError(f"lookups.{name}.of names {lookup.of!r}, which has embed = false, so that no request has it")
    looked_up: list[tuple[str, str, str, Any]] = [(f"behaviours.{n}", "behaviour", b.sequence, b) for n, b in features.behaviours.items()]
    looked_up += [(f"events.{p.sequence}.{p.name}" if p.sequence else f"{p.role}.{p.name}", *p[1:]) for p in features.placed]
    for where, role, sequence, feature in looked_up:
        if not feature.lookup:
            continue
        found = features.lookups.get(feature.lookup)
        if found is None:
            raise ValueError(f"{where}.lookup names {feature.lookup!r}, but features.lookups has no such table")
        if sequence and sequence not in items.get(found.of, ()):
            raise ValueError(f"{where} is looked up by {found.of!r}, but the sequence {sequence!r} has no ids of it")
        if sequence and isinstance(feature, Numeric | Bucketized) and feature.dtype == "int64":
            raise ValueError(f"{where} is looked up for events, where a missing integer cannot be written: set dtype = 'float'")
        if not sequence and role != role_by_key[found.of]:
            raise ValueError(f"{where} is looked up by {found.of!r}, so it belongs to features.{role_by_key[found.of]}")


def _not_embedded(features: "FeatureConfig") -> set[str]:
    return {placed.name for placed in features.placed if isinstance(placed.feature, Categorical) and not placed.feature.embed}


def _check_labels(features: "FeatureConfig") -> None:
    for label in features.labels:
        if not re.fullmatch(_NAME, label):
            raise ValueError(f"label {label!r} cannot name an output of a signature: use up to 100 letters, digits and _, a letter first")
    if len(set(features.labels)) < len(features.labels):
        raise ValueError("labels names a label twice")


def _check_names(features: "FeatureConfig") -> None:
    columns = [column.name for column in (*features.columns, *features.joined_columns)]
    names = [*columns, *(column.name for column in features.kept_columns)]
    crosses = [p.name for p in features.placed if isinstance(p.feature, Cross)]
    names += crosses
    for name in names:
        if not re.fullmatch(_NAME, name) or name == "self" or iskeyword(name):
            raise ValueError(
                f"feature {name!r} cannot be an input of a signature: use up to 100 letters, digits and _, a letter first, "
                "and no keyword of Python"
            )
    counts, folded = Counter(names), Counter(name.lower() for name in names)
    same_but_case = sorted({name for name in names if folded[name.lower()] > 1 and counts[name] == 1})
    if same_but_case:
        raise ValueError(
            f"features {', '.join(map(repr, same_but_case))} differ only in case, which inputs of a signature must not: rename one"
        )
    computed = features.computed_names & {*columns, *crosses}
    twice = sorted({name for name in names if counts[name] > 1} | (_RESERVED & set(names)) | computed)
    if twice:
        raise ValueError(f"feature {', '.join(map(repr, twice))} is declared twice or reserved")
    both = sorted(set(features.behaviours) & {*(p.name for p in features.placed), *features.position})
    if both:
        raise ValueError(f"{both[0]!r} names a behaviour and another feature: vocabularies need names of their own")
