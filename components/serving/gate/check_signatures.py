"""Checks that an export has the signatures that its features demand."""

from collections.abc import Iterator

import numpy as np

from components.evaluation.labels import labels_of
from components.serving.gate.refused import Refused
from components.serving.model.saved_signatures import Signature, Tensor
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import dimension_names, inputs_of


def check_signatures(signatures: dict[str, Signature], features: FeatureConfig) -> None:
    """Checks the scoring signatures: the names, types and ranks of their inputs, and the probability of each label.

    Raises:
        Refused: A signature differs from what the features demand; the message names the first difference.
    """
    for name, inputs, rank in _demanded(features):
        if name not in signatures:
            raise Refused(f"the export has no signature {name!r}.")
        given = signatures[name]
        for missing in sorted(inputs.keys() - given.inputs.keys()):
            raise Refused(f"signature {name!r} lacks the input {missing!r}.")
        for extra in sorted(given.inputs.keys() - inputs.keys()):
            raise Refused(f"signature {name!r} has the input {extra!r}, which is not a feature.")
        for label in labels_of(features):
            if label.output not in given.outputs:
                raise Refused(f"signature {name!r} lacks the output {label.output!r}: it gives {', '.join(map(repr, given.outputs))}.")
            _check_tensor(f"output {label.output!r} of signature {name!r}", given.outputs[label.output], "float32", rank)
        for key, demanded in inputs.items():
            _check_tensor(f"input {key!r} of signature {name!r}", given.inputs[key], *demanded)


def _demanded(features: FeatureConfig) -> Iterator[tuple[str, dict[str, tuple[str, int]], int]]:
    """Yields each scoring signature: its name, the type and rank of each input, and the rank of its output."""
    yield "serving_default", {"examples": ("string", 1)}, 1
    for name, wide in (("predict", 0), ("rank", 1)):
        inputs = {}
        for read in inputs_of(features):
            dtype = np.dtype(read.numpy)
            inputs[read.column.name] = ("string" if dtype.hasobject else dtype.name, len(dimension_names(read, rank=bool(wide))))
        yield name, inputs, 1 + wide


def _check_tensor(what: str, given: Tensor, dtype: str, rank: int) -> None:
    if given.dtype != dtype:
        raise Refused(f"{what} is {given.dtype}, but {dtype} is needed.")
    if given.shape is None or len(given.shape) != rank:
        found = "open" if given.shape is None else len(given.shape)
        raise Refused(f"the rank of {what} is {found}, but {rank} is needed.")
