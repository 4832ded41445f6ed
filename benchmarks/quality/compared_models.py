"""The models that `din bench quality` compares, each by the settings that make it what it is."""

from collections.abc import Sequence
from typing import NamedTuple

from components.base.errors import InputError


class Model(NamedTuple):
    """A row: its name in the table, and the settings that make it what it is."""

    title: str
    settings: tuple[str, ...]


_DIN = "model.kind=din"
MODELS = {
    "lr": Model("LR", ("model.kind=lr",)),
    "base": Model("Base", ("model.kind=base",)),
    "wide_deep": Model("Wide&Deep", ("model.kind=wide_deep",)),
    "pnn": Model("PNN", ("model.kind=pnn",)),
    "deepfm": Model("DeepFM", ("model.kind=deepfm",)),
    "din": Model("DIN", (_DIN,)),
    "no_history": Model("DIN, no history", (_DIN, "model.history=false")),
    "softmax": Model("DIN, softmax attention", (_DIN, "model.attention_softmax=true")),
    "prelu": Model("DIN, PReLU", (_DIN, "model.activation=prelu")),
    "mba": Model("DIN, regularised", (_DIN, "training.regularization=0.01")),  # the paper's λ
    "adam": Model("DIN, textbook's Adam", (_DIN, "training.optimizer=adam")),
}

PEERS = {"deepctr": Model("DeepCTR's DIN", (_DIN,))}  # in a suite alone: they need an environment of their own
ROWS = {**MODELS, **PEERS}


def choose_models(names: str | None, known: Sequence[str] = tuple(MODELS)) -> list[str]:
    """The models that a comma-separated list names, in the table's order; all without a list.

    Raises:
        InputError: There is no such model.
    """
    asked = known if names is None else names.split(",")
    for name in asked:
        if name not in known:
            raise InputError(f"--models: no model is called {name!r}: there are {', '.join(known)}.")
    return [name for name in known if name in asked]
