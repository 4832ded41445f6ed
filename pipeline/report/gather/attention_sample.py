"""Samples what the attention unit weighs: a few impressions of eval/ with the weight of each event in their histories."""

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.base.saved_models import load_saved_model
from components.base.tfrecord import read_records
from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.exported_features import read_features
from din_trainer.features import LABEL, USER_ID, FeatureConfig

_CONTRIBUTION = "contribution_"  # the outputs of `explain` with what a feature adds
_EVENTS = 3  # the number of events that a history should have
_SEARCHED = 10_000  # at most so many impressions are read


def sample_attention(model: Path, files: Iterable[Path], count: int = 6) -> list[dict[str, Any]] | None:
    """Explains impressions of the eval split: the first ones of different users whose histories have several events, half of them clicked.

    If there are too few of them among the first `_SEARCHED` impressions, others with a history are added.

    Args:
        model: The folder of a SavedModel.
        files: The files of the split.
        count: The largest number of impressions.

    Returns:
        For each impression: `label`, `probability`, `candidate` (raw values by feature), `contributions` (what each feature adds to the
        logit) and `sequences`. A sequence has a `name` and `events`: the last L events, oldest first, each with its `weight` and the raw
        values of the histories. What tables of attributes have is not shown. None if the model has no attention.

    Raises:
        InputError: There is no such model, or no such data.
    """
    features = read_features(model)
    loaded = load_saved_model(model)
    explain = loaded.signatures.get("explain")
    if explain is None or not any(name.endswith("_attention") for name in explain.structured_outputs):
        return None
    records = islice(chain.from_iterable(map(read_records, files)), _SEARCHED)
    examples = _choose(map(tf.train.Example.FromString, records), features, count)
    if not examples:
        return []
    outputs = explain(examples=tf.constant([example.SerializeToString() for example in examples]))
    explained = {name: values.numpy() for name, values in outputs.items()}
    return [_describe(example, {name: values[i] for name, values in explained.items()}, features) for i, example in enumerate(examples)]


def _values(example: tf.train.Example, name: str) -> list[Any]:
    """Returns the raw values of a feature, with bytes as text."""
    feature = example.features.feature[name]
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    return [value.decode(errors="backslashreplace") if isinstance(value, bytes) else value for value in values]


def _choose(examples: Iterable[tf.train.Example], features: FeatureConfig, count: int) -> list[tf.train.Example]:
    """Chooses impressions as `sample_attention` says, the clicked ones first. Reads no more than it needs."""
    histories = [next(iter(behaviours.values())).history for behaviours in features.sequences.values()]
    wanted = {1: count // 2, 0: count - count // 2}
    chosen: dict[int, list[tf.train.Example]] = {label: [] for label in wanted}
    others: list[tf.train.Example] = []
    users = set()
    for example in examples:
        label, user = _values(example, LABEL)[0], tuple(_values(example, USER_ID))
        events = max(len(_values(example, history)) for history in histories)
        if events >= _EVENTS and len(chosen[label]) < wanted[label] and (not user or user not in users):
            chosen[label].append(example)
            users.add(user)
        elif events and len(others) < count:
            others.append(example)
        if all(len(chosen[label]) == wanted[label] for label in wanted):
            break
    return [*chosen[1], *chosen[0], *others][:count]


def _describe(example: tf.train.Example, outputs: dict[str, np.ndarray], features: FeatureConfig) -> dict[str, Any]:
    given = {name: behaviour for name, behaviour in features.behaviours.items() if not behaviour.lookup}  # the data has no others
    candidates = {behaviour.candidate: _values(example, behaviour.candidate)[0] for behaviour in given.values()}
    sequences = []
    for name, behaviours in features.sequences.items():
        histories = {b.history: _values(example, b.history)[-features.history_length :] for own, b in behaviours.items() if own in given}
        weights = outputs[f"{name}_attention"].tolist()  # (L,): at least as many as the history has events
        events = [
            {"weight": weight, **dict(zip(histories, event, strict=True))}
            for weight, *event in zip(weights, *histories.values(), strict=False)
        ]
        sequences.append({"name": name, "events": events})
    return {
        "label": _values(example, LABEL)[0],
        "probability": float(outputs[PROBABILITY]),
        "candidate": candidates,
        "sequences": sequences,
        "contributions": {
            name.removeprefix(_CONTRIBUTION): float(value) for name, value in outputs.items() if name.startswith(_CONTRIBUTION)
        },
    }
