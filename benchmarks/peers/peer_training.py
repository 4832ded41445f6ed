"""Trains a peer like one of our models, in its own environment: the same arrays, sizes, batches, learning rate and early stopping."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.worker_process import WORKERS
from benchmarks.quality.eval_judge import Trial
from components.base.errors import InputError
from din_trainer.config import DINConfig

_WORKER = WORKERS / "deepctr_quality.py"
PEER_FILES = (Path(__file__), _WORKER, WORKERS / "harness.py")  # the code that decides how a peer is trained
_ACTIVATIONS = ("dice", "relu", "sigmoid")  # those of DeepCTR's layers


def check_peer(config: DINConfig) -> None:
    """Checks that the peer can be trained with a configuration.

    Raises:
        InputError: The peer does not support a feature or a setting.
    """
    features, model, training = config.features, config.model, config.training
    unknown = {
        "numeric features": any(feature.kind == "numeric" for feature in features.side.values()),
        "time gaps": features.time_gap,
        "weights of impressions": bool(features.weight),
        "a second sequence": len(features.sequences) > 1,
        "shared vocabularies": any(behaviour.vocabulary for behaviour in features.behaviours.values()),
        "initial embeddings": any(vocabulary.embeddings for vocabulary in features.vocabularies.values()),
        "schedules": training.schedule.kind != "constant",
        "clipping": training.clip_norm is not None,
        "sampled negatives in training": training.negative_rate < 1,
        "regularisation": training.regularization > 0,
        "histories left out": not model.history,
        "activations other than Dice, ReLU and sigmoid": model.activation not in _ACTIVATIONS,
    }
    for what, is_asked in unknown.items():
        if is_asked:
            raise InputError(f"DeepCTR's DIN is compared without {what}: remove them from the configuration, or deepctr from --models.")


def worker_settings(config: DINConfig, sizes: dict[str, int]) -> dict[str, Any]:
    """Returns the settings of the worker, as JSON.

    Args:
        config: The model and its training.
        sizes: The number of embedding rows by vocabulary, padding included.
    """
    features, model, training = config.features, config.model, config.training
    return {
        "features": [
            *({"name": name, "rows": sizes[name], "dim": feature.dim} for name, feature in features.side.items()),
            *({"name": b.candidate, "rows": sizes[name], "dim": b.dim, "history": b.history} for name, b in features.behaviours.items()),
        ],
        "history_length": features.history_length,
        "attention_hidden": model.attention_hidden,
        "attention_softmax": model.attention_softmax,
        "hidden": model.hidden,
        "activation": model.activation,
        "dropout": model.dropout,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "epochs": training.epochs,
        "patience": training.patience,
        "seed": training.seed,
    }


def train_peer(python: Path, arrays: Path, settings: dict[str, Any]) -> Trial:
    """Trains DeepCTR's DIN in a process of its own.

    Args:
        python: The Python of the peers' environment.
        arrays: The file that `Experiment.write_arrays` wrote.
        settings: The result of `worker_settings`.

    Raises:
        InputError: The process failed; the message contains the end of its standard error.
    """
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        result = Path(folder) / "result.npz"
        command = [str(python), str(_WORKER), str(arrays), json.dumps(settings), str(result)]
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if process.returncode:
            raise InputError(f"DeepCTR's DIN could not be trained: {process.stderr.strip()[-2000:]}")
        with np.load(result) as values:
            return Trial(values["logits"].astype(np.float64), values["validation_aucs"].tolist(), float(values["seconds"]))
