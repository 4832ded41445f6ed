"""DeepCTR's DIN on the legacy Keras that it needs, with `fit` and `predict` on arrays. tf.data was not faster.

DeepCTR was written for the legacy Adam. It is as fast as the newer one on small tables, and 1.7 times as fast on a million rows.
"""

import os
from typing import Any
from unittest import mock

import numpy as np
from harness import Data, Model, serve


def make_din(sizes: dict[str, int], behaviours: list[str], history: int) -> Any:
    """Makes the model with Dice in the attention unit and in the MLP, and without L2 terms, so that the loss is only the log loss.

    Args:
        sizes: The number of ids of each feature, without the 0 of padding.
        behaviours: The features that have a history, `hist_<feature>`.
        history: The length of the histories, L.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    mock.patch("requests.get").start()  # its import asks the package index for a newer version, in a thread
    from deepctr.feature_column import SparseFeat, VarLenSparseFeat
    from deepctr.models import DIN

    columns = [SparseFeat(name, size + 1, 16) for name, size in sizes.items()]
    columns += [VarLenSparseFeat(SparseFeat(f"hist_{name}", sizes[name] + 1, 16, embedding_name=name), history) for name in behaviours]
    return DIN(columns, behaviours, dnn_hidden_units=(128, 64, 32), dnn_activation="dice", att_hidden_size=(80, 40), l2_reg_embedding=0)


def build(data: Data) -> Model:
    """Makes the model for the users and items of `data`."""
    din = make_din({"user": data.n_users, "item": data.n_items}, ["item"], data.historical_item_ids.shape[1])
    import deepctr
    import tf_keras

    din.compile(tf_keras.optimizers.legacy.Adam(1e-3), "binary_crossentropy", metrics=["binary_crossentropy"])
    features = {
        name: values.astype(np.int32)
        for name, values in {"user": data.user_id, "item": data.candidate_item_id, "hist_item": data.historical_item_ids}.items()
    }
    labels = data.label.astype(np.float32)
    trained = 0

    def chosen(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in features.items()}

    def train(batch: int, count: int) -> float:
        nonlocal trained
        rows = np.arange(trained, trained + count) % data.n_train
        trained += count
        return din.fit(chosen(rows), labels[rows], batch_size=batch, verbose=0).history["loss"][0]

    def predict(batch: int, rows: np.ndarray) -> np.ndarray:
        return din.predict(chosen(rows), batch_size=batch, verbose=0)

    return Model(deepctr.__version__, train, predict)


if __name__ == "__main__":
    serve(build)
