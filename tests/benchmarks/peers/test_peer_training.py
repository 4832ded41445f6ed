"""How DeepCTR's DIN is trained, without DeepCTR: the parts of its worker, and a fake worker."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import peer_training
from benchmarks.peers.peer_training import check_peer, train_peer, worker_settings
from benchmarks.peers.workers import harness
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config

SIZES = {"item": 101, "category": 21, "user_id": 51}


@pytest.fixture
def worker(monkeypatch):
    """The worker's module, which imports its neighbours without a package."""
    monkeypatch.syspath_prepend(str(Path(harness.__file__).parent))
    import deepctr_quality

    return deepctr_quality


def test_the_worker_gets_the_sizes_of_the_configuration():
    config = load_config("movielens", ["training.seed=3", "model.dropout=0.2"])
    settings = worker_settings(config, SIZES)
    assert settings == {
        "features": [
            {"name": "user_id", "rows": 51, "dim": 8},
            {"name": "candidate_item_id", "rows": 101, "dim": 16, "history": "historical_item_ids"},
            {"name": "candidate_category_id", "rows": 21, "dim": 8, "history": "historical_category_ids"},
        ],
        "history_length": 50,
        "attention_hidden": (32, 16),
        "attention_softmax": False,
        "hidden": (128, 64, 32),
        "activation": "dice",
        "dropout": 0.2,
        "batch_size": 512,
        "learning_rate": 1e-3,
        "epochs": config.training.epochs,
        "patience": config.training.patience,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("training.clip_norm=1.0", "clipping"),
        ("training.negative_rate=0.5", "sampled negatives in training"),
        ("features.context.hour.kind=numeric", "numeric features"),
        ("features.time_gap=true", "time gaps"),
        ("model.activation=prelu", "activations other than Dice, ReLU and sigmoid"),
        ("model.history=false", "histories left out"),
        ("training.regularization=0.01", "regularisation"),
        ("features.behaviours.category.sequence=other", "a second sequence"),
    ],
)
def test_what_the_peer_lacks_is_refused(setting, what):
    with pytest.raises(InputError, match=f"^DeepCTR's DIN is compared without {what}: "):
        check_peer(load_config("movielens", ["training.regularization=0", setting]))


@pytest.mark.parametrize("setting", ["model.activation=relu", "model.activation=sigmoid", "training.optimizer=adam"])
def test_what_the_peer_has_is_not_refused(setting):
    check_peer(load_config("movielens", ["training.regularization=0", setting]))


def test_inputs_are_the_columns_by_the_peer_s_names(worker):
    arrays = {
        "eval/user_id": np.array([1, 2]),
        "eval/candidate_item_id": np.array([3, 4]),
        "eval/historical_item_ids": np.array([[5, 0], [0, 0]]),
        "train/user_id": np.array([9]),
    }
    features = [{"name": "user_id"}, {"name": "candidate_item_id", "history": "historical_item_ids"}]
    inputs = worker.inputs_of(arrays, "eval", features)
    assert {name: values.tolist() for name, values in inputs.items()} == {
        "user_id": [1, 2],
        "candidate_item_id": [3, 4],
        "hist_candidate_item_id": [[5, 0], [0, 0]],
    }


@pytest.mark.parametrize(
    ("aucs", "epochs", "patience", "trained", "best"),
    [
        ([0.6, 0.7, 0.65, 0.9], 4, 1, 3, 2),  # the fourth is never trained
        ([0.6, 0.7, 0.65, 0.9], 4, 2, 4, 4),
        ([0.6, 0.7, 0.8], 2, 1, 2, 2),
        ([0.6, 0.6, 0.7], 3, 1, 2, 1),  # equal is not better
        ([0.6, 0.5, 0.4], 3, 0, 3, 1),  # never stops early
    ],
)
def test_it_stops_and_keeps_the_best_epoch_as_our_training_does(worker, aucs, epochs, patience, trained, best):
    remaining = iter(aucs)
    seen = []

    def epoch():
        seen.append(next(remaining))
        return seen[-1]

    kept, seen_aucs = worker.keep_best(epoch, lambda: len(seen), epochs, patience)
    assert (kept, seen_aucs) == (best, aucs[:trained])


FAKE = """
import json, sys
import numpy as np
arrays, settings, result = np.load(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
if settings["fails"]:
    raise SystemExit("out of luck")
np.savez(result, logits=arrays["eval/x"] * 2, validation_aucs=[0.5, 0.6], seconds=1.5)
"""


def test_a_worker_s_result_is_a_trial_and_its_standard_error_is_reported(tmp_path, monkeypatch):
    (tmp_path / "fake.py").write_text(FAKE)
    np.savez(tmp_path / "arrays.npz", **{"eval/x": np.array([1, 2], np.float32)})
    monkeypatch.setattr(peer_training, "_WORKER", tmp_path / "fake.py")
    trial = train_peer(Path(sys.executable), tmp_path / "arrays.npz", {"fails": False})
    assert (trial.logits.tolist(), trial.logits.dtype, trial.validation_aucs, trial.seconds) == ([2.0, 4.0], np.float64, [0.5, 0.6], 1.5)
    with pytest.raises(InputError, match=r"^DeepCTR's DIN could not be trained: out of luck$"):
        train_peer(Path(sys.executable), tmp_path / "arrays.npz", {"fails": True})
