"""The inputs of a model's MLP, side by side: the one description that building, products of fields and warm starts follow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from din_trainer.features import LONG_HISTORY, FeatureConfig, gap_name
from din_trainer.kinds import Numeric, TimeGap, Vector


class MlpInput(NamedTuple):
    """An input of the MLP.

    Attributes:
        name: Of the feature, after Transform. Events are summed up under the names of their history and of its further fields.
        width: Its size.
        is_embedded: Whether it is an embedding, which can be multiplied with others; otherwise it is numbers.
        sequence: The behaviour sequence that it is made of; empty if it is made of no events.
    """

    name: str
    width: int
    is_embedded: bool
    sequence: str = ""


def mlp_inputs(features: FeatureConfig, history: bool, interactions: str = "none") -> list[MlpInput]:
    """Returns the inputs in their order.

    First come the candidate's embeddings, then the sums of the events, sequence by sequence, each with its interactions. Behind those of
    the searched sequence come the same of the events that are chosen from its long history. The embeddings of the user and the context
    follow. Last come the numbers and vectors of the candidate, then those of the user and the context.

    Args:
        features: The feature definition.
        history: Whether the model reads histories.
        interactions: As `din_trainer.layers.interactions` has them.
    """
    candidates = {b.candidate: features.vocabulary_of(name).dim for name, b in features.behaviours.items()}
    result = [MlpInput(name, dim, True) for name, dim in candidates.items()]
    own, side = _inputs(features.own), _inputs(features.side)
    result += [x for x in own if x.is_embedded]
    result += [MlpInput(name, position.dim, True) for name, position in features.position.items() if position.tower == "mlp"]
    fields = event_fields(features)
    for sequence, behaviours in features.sequences.items() if history else ():
        keys = [MlpInput(b.history, features.vocabulary_of(name).dim, True) for name, b in behaviours.items()]
        events = keys + _inputs(fields[sequence])
        pairs = list(zip([b.candidate for b in behaviours.values()], keys, strict=True))
        of_sequence = events + _interactions(interactions, events, pairs)
        result += [x._replace(sequence=sequence) for x in of_sequence]
        if sequence == features.searched:
            result += [x._replace(name=f"long {x.name}", sequence=LONG_HISTORY) for x in of_sequence]
    result += [x for x in side if x.is_embedded]
    return result + [x for x in (*own, *side) if not x.is_embedded]


def _interactions(kind: str, events: list[MlpInput], pairs: list[tuple[str, MlpInput]]) -> list[MlpInput]:
    """What `din_trainer.layers.interactions` makes of a sequence, in its order: the pooled events, then the products."""
    if kind == "none":
        return []
    pooled = "mean of " if kind == "mean_inner" else "sum of "
    inputs = [x._replace(name=f"{pooled}{x.name}") for x in events]
    if kind == "elementwise":
        inputs += [MlpInput(f"{candidate} * sum of {x.name}", x.width, True) for candidate, x in pairs]
    elif kind in ("inner", "mean_inner"):
        inputs += [MlpInput(f"<{candidate}, {of}{x.name}>", 1, False) for of in (pooled, "") for candidate, x in pairs]
    return inputs


def event_fields(features: FeatureConfig) -> dict[str, dict[str, Any]]:
    """The further fields of the events of each sequence, by sequence and name after Transform."""
    declared = features.event_fields
    return {
        sequence: {gap_name(name) if isinstance(field, TimeGap) else name: field for name, field in declared.get(sequence, {}).items()}
        for sequence in features.sequences
    }


def is_dense(feature: Any) -> bool:
    """Whether a feature is numbers, and not ids."""
    return isinstance(feature, Numeric | Vector | TimeGap)


def raw_width(feature: Any) -> int:
    """How many numbers a feature of numbers has before any layer."""
    return feature.size if isinstance(feature, Vector) else getattr(feature, "width", 1)


def _inputs(features: Mapping[str, Any]) -> list[MlpInput]:
    return [MlpInput(name, _width(feature), not is_dense(feature)) for name, feature in features.items()]


def _width(feature: Any) -> int:
    if not is_dense(feature):
        return int(feature.dim)
    return feature.units if isinstance(feature, Vector) and feature.units else raw_width(feature)
