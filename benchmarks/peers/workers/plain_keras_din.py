"""The same DIN in plain Keras, without the optimisations of `din_trainer`: raw ids in, a probability out.

`IntegerLookup` turns raw ids into rows, padded histories stay dense (B, L), the attention unit reads the concatenation, a mask removes the
padding from the sum, and `Model.export` writes the SavedModel. The weights are random.

Arguments: a folder, the length of the histories, and the sizes of the vocabularies as JSON. It writes `saved_model/`, and the network
behind the lookups as `core.onnx`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

FEATURES = {  # the raw features of each vocabulary
    "user": ("user_id",),
    "item": ("candidate_item_id", "historical_item_ids"),
    "category": ("candidate_category_id", "historical_category_ids"),
}
DIM, ATTENTION, MLP = 16, (80, 40), (128, 64, 32)
PADDING, UNKNOWN = -1, -2  # raw ids of padding and of unknown values


class Dice(layers.Layer):
    """x · (p + (1 − p) α), where p is the sigmoid of the normalised x, in its usual form: with BatchNormalization inside."""

    def build(self, shape: Any) -> None:
        self.normalise = layers.BatchNormalization(epsilon=1e-8, center=False, scale=False)
        self.normalise.build(shape)
        self.alpha = self.add_weight(shape=shape[-1:], initializer="zeros", name="alpha")

    def call(self, x: Any, training: bool = False) -> Any:
        p = ops.sigmoid(self.normalise(x, training=training))
        return p * x + (1.0 - p) * self.alpha * x


def make_core(sizes: dict[str, int], history: int) -> Any:
    """Makes the network from int64 ids, (B,) and (B, L) with 0 for padding, to the probability (B, 1).

    Args:
        sizes: The number of rows of each table.
        history: The length of the histories, L.
    """
    ids = {
        raw: keras.Input((history,) if raw.startswith("historical") else (), dtype="int64", name=raw)
        for names in FEATURES.values()
        for raw in names
    }
    embedded: dict[str, Any] = {}
    for vocabulary, names in FEATURES.items():
        table = layers.Embedding(sizes[vocabulary], DIM, name=f"embedding_{vocabulary}")
        embedded |= {raw: table(ids[raw]) for raw in names}
    candidate = layers.Concatenate()([embedded["candidate_item_id"], embedded["candidate_category_id"]])  # (B, D)
    events = layers.Concatenate()([embedded["historical_item_ids"], embedded["historical_category_ids"]])  # (B, L, D)
    query = layers.RepeatVector(history)(candidate)
    x = layers.Concatenate()([query, events, query - events, query * events])
    for number, units in enumerate(ATTENTION):
        x = Dice()(layers.Dense(units, name=f"attention_{number}")(x))
    mask = ops.cast(ops.not_equal(ids["historical_item_ids"], 0), "float32")
    weights = layers.Dense(1, name="attention_score")(x)[..., 0] * mask
    interest = ops.sum(weights[..., None] * events, axis=1)
    x = layers.Concatenate()([candidate, interest, embedded["user_id"]])
    for number, units in enumerate(MLP):
        x = Dice()(layers.Dense(units, name=f"mlp_{number}")(x))
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", name="probability")(x))


def make_model(core: Any, vocabularies: dict[str, list[int]]) -> Any:
    """Makes the model from raw ids to the probability. Row 0 is padding, row 1 an unknown id; the vocabulary follows."""
    raw = {name: keras.Input(x.shape[1:], dtype="int64", name=name) for name, x in core.input.items()}
    ids: dict[str, Any] = {}
    for vocabulary, names in FEATURES.items():
        lookup = layers.IntegerLookup(vocabulary=vocabularies[vocabulary], mask_token=PADDING, oov_token=UNKNOWN)
        ids |= {name: lookup(raw[name]) for name in names}
    return keras.Model(raw, core(ids))


def export(folder: Path, history: int, sizes: dict[str, int]) -> None:
    """Writes both files, for vocabularies of so many ids, counted from 0."""
    core = make_core({name: size + 2 for name, size in sizes.items()}, history)
    rng = np.random.default_rng(0)
    for weight in core.weights:  # weights of 0 or 1 would be simplified away in ONNX, where weights are constants
        values = rng.normal(size=weight.shape) * 0.1
        weight.assign(values if weight.trainable else 1 + abs(values))  # moving variances must be positive
    make_model(core, {name: list(range(size)) for name, size in sizes.items()}).export(str(folder / "saved_model"), verbose=False)
    core.export(str(folder / "core.onnx"), format="onnx", verbose=False)  # the model must have been called before


if __name__ == "__main__":
    export(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
