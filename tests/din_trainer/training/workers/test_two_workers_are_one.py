"""Two workers give the loss curve of one, step by step, and all workers have the same weights, to the last bit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.training.workers.shared_split import SharedSplit
from tests.din_trainer.exchange.in_threads import by_workers
from tests.din_trainer.training.workers.recorded_training import BATCH, LABELS, Setting, read, train_recorded, write_shards

_ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.timeout(900)  # starts processes that import TensorFlow; they share the cores with other tests
_SHARDS = (3000, 1000, 2500, 3500, 3001)  # 204 batches, the last one with 9 rows; the fifth shard is shared by record
_MODEL = {"attention_hidden": [8, 4], "hidden": [16, 8], "dropout": 0.1}
SETTINGS = {
    "by default": Setting({"model": _MODEL, "training": {"batch_size": BATCH}}, _SHARDS),
    "with everything": Setting(
        {
            "features": {"labels": list(LABELS), "weight": "weight"},
            "model": _MODEL,
            "training": {"batch_size": BATCH, "regularization": 0.1, "negative_rate": 0.7, "clip_norm": 0.5},
        },
        (1200, 700, 1300, 900, 1001),
    ),
    "from streams": Setting(
        {"model": {**_MODEL, "kind": "base"}, "training": {"batch_size": BATCH, "optimizer": "adam"}}, (700, 300, 501), 1e-3
    ),
}


@pytest.fixture(scope="module")
def of_workers(tmp_path_factory):
    """By setting, what each of two processes recorded; and the files."""
    folder = tmp_path_factory.mktemp("workers")
    files = {name: [] for name in SETTINGS}
    for name, setting in SETTINGS.items():
        (folder / name).mkdir()
        files[name] = write_shards(folder / name, setting.shards)
    (folder / "settings.json").write_text(json.dumps({name: [list(setting), files[name]] for name, setting in SETTINGS.items()}))
    command = [sys.executable, "-m", "tests.din_trainer.training.workers.recorded_training", str(folder)]
    processes = [subprocess.Popen([*command, str(worker), "2"], cwd=_ROOT, stderr=subprocess.PIPE) for worker in (0, 1)]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    return {name: [np.load(folder / f"{name}-{worker}.npz") for worker in (0, 1)] for name in SETTINGS}, files


@pytest.mark.parametrize("name", ["by default", "with everything"])
def test_the_loss_and_the_auc_of_each_step_are_those_of_one_worker(name, of_workers):
    """Dice, dropout, weights, two labels, regularisation, sampled negatives, clipping, and workers with different numbers of events."""
    recorded, files = of_workers
    one, first = train_recorded(SETTINGS[name], files[name]), recorded[name][0]
    assert len(one.steps) == len(first["steps"]) > 50 and np.ptp(one.steps[:, 0]) > 0.1
    np.testing.assert_allclose(first["steps"], one.steps, atol=1e-5)
    np.testing.assert_allclose(first["figures"], list(one.validation.values()), atol=1e-6)
    for path, weight in one.weights.items():
        np.testing.assert_allclose(first[f"weight {path}"], weight, atol=1e-4, err_msg=path)


def test_streams_give_the_loss_of_one_worker_that_reads_the_parts_of_both(of_workers, tmp_path):
    """The worker with fewer rows takes part without rows until the other one has no more."""
    recorded, files = of_workers
    setting, spec = SETTINGS["from streams"], read(("label",), weighted=False)
    settings = {"shuffle_seed": 3, "memory_mb": setting.memory_mb}
    splits = by_workers(tmp_path, 2, lambda workers: SharedSplit(workers, files["from streams"], spec, BATCH, **settings))
    batches = []
    for parts in zip(*(split.epoch().as_numpy_iterator() for split in splits), strict=True):
        batch = tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
        if not len(batch[1]):
            break
        batches.append(batch)
    assert sum(len(label) for _, label in batches) == 1501
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=splits[0].epoch().element_spec)
    one, first = train_recorded(setting, files["from streams"], dataset), recorded["from streams"][0]
    np.testing.assert_allclose(first["steps"], one.steps, atol=1e-5)
    np.testing.assert_allclose(first["figures"], list(one.validation.values()), atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_all_weights_and_moments_are_the_same_bits_on_both_workers(name, of_workers):
    first, second = of_workers[0][name]
    assert len(first.files) == len(second.files) > 20
    for key in first.files:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
