"""The models that `din bench quality` compares: the paper's (section 6.3), DCN-v2, BST and variants of DIN, each with its settings.

`din` is DIN with the project's defaults. What the paper claims is tested with its own form, `paper`, and variants of that.
"""

from collections.abc import Sequence
from typing import NamedTuple

from components.base.errors import InputError


class Model(NamedTuple):
    """A model: its name in the table, and its settings, which differ from those of the other models."""

    title: str
    settings: tuple[str, ...]


_DIN = "model.kind=din"
_PAPER = (_DIN, "model.interactions=none")
MODELS = {
    "lr": Model("LR", ("model.kind=lr",)),
    "base": Model("Base", ("model.kind=base",)),
    "wide_deep": Model("Wide&Deep", ("model.kind=wide_deep",)),
    "pnn": Model("PNN", ("model.kind=pnn",)),
    "deepfm": Model("DeepFM", ("model.kind=deepfm",)),
    "dcn": Model("DCN-v2", ("model.kind=dcn",)),
    "bst": Model("BST", ("model.kind=bst",)),
    "din": Model("DIN", (_DIN,)),
    "paper": Model("DIN, as in the paper", _PAPER),
    "sum": Model("DIN, sum", (_DIN, "model.interactions=sum")),
    "inner": Model("DIN, sum and inner products", (_DIN, "model.interactions=inner")),
    "elementwise": Model("DIN, sum and elementwise products", (_DIN, "model.interactions=elementwise")),
    "no_history": Model("DIN, no history", (_DIN, "model.history=false")),
    "softmax": Model("paper's DIN, softmax attention", (*_PAPER, "model.attention_softmax=true")),
    "prelu": Model("paper's DIN, PReLU", (*_PAPER, "model.activation=prelu")),
    "mba": Model("paper's DIN, regularised", (*_PAPER, "training.regularization=0.01")),  # the paper's λ
    "adam": Model("DIN, textbook's Adam", (_DIN, "training.optimizer=adam")),
}

_UNREGULARISED = (*_PAPER, "training.regularization=0")
# the others are only in a suite: configurations of a suite may regularise, and peers need an environment of their own
UNREGULARISED = {"unregularised": Model("paper's DIN, not regularised", _UNREGULARISED)}
PEERS = {"deepctr": Model("DeepCTR's DIN, not regularised", _UNREGULARISED)}
ROWS = {**MODELS, **UNREGULARISED, **PEERS}


def choose_models(names: str | None, known: Sequence[str] = tuple(MODELS)) -> list[str]:
    """Returns the models of a comma-separated list, in the order of the table.

    Args:
        names: The list; None for all models.
        known: The models that there are.

    Raises:
        InputError: A model of the list does not exist.
    """
    asked = known if names is None else names.split(",")
    for name in asked:
        if name not in known:
            raise InputError(f"--models: no model is called {name!r}: choose from {', '.join(known)}.")
    return [name for name in known if name in asked]
