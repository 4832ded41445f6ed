"""The labels that a model predicts: for each its name, its column in the data, and the model's output for it."""

from collections.abc import Collection
from typing import NamedTuple

from components.evaluation.metrics.catalogue import PROBABILITY
from din_trainer.features import LABEL, FeatureConfig


class Label(NamedTuple):
    """A label and its prediction.

    Attributes:
        name: Its name in the configuration.
        column: Its column in the data.
        output: The output of the model's signatures that predicts it.
    """

    name: str
    column: str
    output: str


def labels_of(features: FeatureConfig) -> list[Label]:
    """The labels of a feature definition, the first one first. The first is in the column `label`, whatever its name."""
    first, *others = features.labels
    return [Label(first, LABEL, PROBABILITY), *(Label(name, name, output_name(name)) for name in others)]


def output_name(label: str) -> str:
    """The output that predicts a label; that of the first one for an empty name."""
    return f"{PROBABILITY}_{label}" if label else PROBABILITY


def probabilities(outputs: Collection[str]) -> list[str]:
    """Which of a model's outputs are probabilities of labels, the first label's first."""
    return [PROBABILITY, *sorted(name for name in outputs if name.startswith(f"{PROBABILITY}_"))]


def output_of(outputs: Collection[str], wanted: str) -> str | None:
    """Which of a model's outputs predicts a label; None if none does.

    Args:
        outputs: The names of the model's outputs. If there is only one, it predicts the first label, whatever its name.
        wanted: The `output` of the label.
    """
    if wanted in outputs:
        return wanted
    return next(iter(outputs)) if len(outputs) == 1 and wanted == PROBABILITY else None
