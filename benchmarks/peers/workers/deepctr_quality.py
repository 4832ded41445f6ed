"""Trains DeepCTR's DIN and writes its logits on eval/, for `din bench quality`.

Arguments: the .npz file of the arrays (`train/<feature>`, `validation/<feature>` and `eval/<feature>`, ids from 1, 0 for padding), the
settings as JSON, and the .npz file that it writes: `logits`, `validation_aucs` of each epoch, and `seconds`. Like our training, it keeps
the weights of the epoch with the best validation AUC, and stops after `patience` epochs without a better one.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from harness import area_under_curve

_BATCH = 4096  # the batch size of predictions


def make_din(settings: dict[str, Any]) -> Any:
    """Makes the model of the settings, without L2 terms."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    mock.patch("requests.get").start()  # its import asks the package index for a newer version, in a thread
    from deepctr.feature_column import SparseFeat, VarLenSparseFeat
    from deepctr.models import DIN
    from tf_keras.initializers import RandomNormal

    features = settings["features"]
    seed = settings["seed"]  # otherwise DeepCTR initialises all tables with the same fixed seed
    start = {f["name"]: RandomNormal(0.0, 1e-4, seed=seed + place) for place, f in enumerate(features)}
    behaviours = [feature for feature in features if "history" in feature]
    columns = [SparseFeat(f["name"], f["rows"], f["dim"], embeddings_initializer=start[f["name"]]) for f in features]
    columns += [
        VarLenSparseFeat(
            SparseFeat(f"hist_{f['name']}", f["rows"], f["dim"], embedding_name=f["name"], embeddings_initializer=start[f["name"]]),
            settings["history_length"],
        )
        for f in behaviours
    ]
    return DIN(
        columns,
        [f["name"] for f in behaviours],
        dnn_hidden_units=tuple(settings["hidden"]),
        dnn_activation=settings["activation"],
        dnn_dropout=settings["dropout"],
        att_hidden_size=tuple(settings["attention_hidden"]),
        att_activation=settings["activation"],
        att_weight_normalization=settings["attention_softmax"],
        l2_reg_dnn=0,
        l2_reg_embedding=0,
        seed=seed,
    )


def inputs_of(arrays: dict[str, np.ndarray], split: str, features: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Returns the arrays of a split by the names of the model's inputs."""
    names = {f["name"]: f["name"] for f in features} | {f"hist_{f['name']}": f["history"] for f in features if "history" in f}
    return {name: arrays[f"{split}/{source}"].astype(np.int32) for name, source in names.items()}


def logits_of(din: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the logits (N,), the input of the last sigmoid. Probabilities could round to 1."""
    import tf_keras

    last = din.layers[-1]
    score = tf_keras.Model(din.inputs, last.input)
    return score.predict(inputs, batch_size=_BATCH, verbose=0).ravel().astype(np.float64) + float(last.global_bias.numpy()[0])


def keep_best(epoch: Callable[[], float], weights: Callable[[], Any], epochs: int, patience: int) -> tuple[Any, list[float]]:
    """Trains until `patience` epochs in a row brought no better validation AUC, at most `epochs` epochs.

    Args:
        epoch: Trains one epoch and returns the validation AUC.
        weights: Returns the current weights.
        epochs: The largest number of epochs.
        patience: The number of epochs without a better AUC; 0 never stops early.

    Returns:
        The weights of the best epoch (the first of equal ones), and the AUC of each epoch.
    """
    aucs: list[float] = []
    best, best_epoch = None, 0
    while len(aucs) < epochs and (patience == 0 or len(aucs) - best_epoch < patience):
        auc = epoch()
        if auc > max(aucs, default=-1.0):
            best, best_epoch = weights(), len(aucs) + 1
        aucs.append(auc)
    return best, aucs


def train(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[Any, list[float], float]:
    """Trains. Returns the model with the weights of its best epoch, the validation AUC of each epoch, and the seconds."""
    import tf_keras

    tf_keras.utils.set_random_seed(settings["seed"])
    din = make_din(settings)
    din.compile(tf_keras.optimizers.legacy.Adam(settings["learning_rate"]), "binary_crossentropy")
    features = settings["features"]
    inputs, labels = inputs_of(arrays, "train", features), arrays["train/label"].astype(np.float32)
    validation, validation_labels = inputs_of(arrays, "validation", features), arrays["validation/label"]

    def epoch() -> float:
        din.fit(inputs, labels, batch_size=settings["batch_size"], verbose=0)
        return area_under_curve(validation_labels, logits_of(din, validation))

    started = time.monotonic()
    best, aucs = keep_best(epoch, din.get_weights, settings["epochs"], settings["patience"])
    seconds = time.monotonic() - started
    din.set_weights(best)
    return din, aucs, seconds


def main(file: str, settings: dict[str, Any], result: Path) -> None:
    """Trains, and writes the result file."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    with np.load(file) as values:
        arrays = dict(values)
    din, aucs, seconds = train(settings, arrays)
    np.savez(result, logits=logits_of(din, inputs_of(arrays, "eval", settings["features"])), validation_aucs=aucs, seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
