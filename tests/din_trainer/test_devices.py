"""What a training computes on: cores here, and cards as far as TensorFlow can be told that there are some."""

import os
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
import tensorflow as tf

from din_trainer import devices
from din_trainer.layers import parts
from din_trainer.training import validation
from din_trainer.training.card_settings import share_cards
from din_trainer.training.workers.job import CLUSTER, workers_here

Card = namedtuple("Card", "name")


@pytest.fixture
def three_cards(monkeypatch):
    """TensorFlow's list of cards, which `set_visible_devices` shortens."""
    seen = [Card("H200 A"), Card("H200 B"), Card("H200 C")]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: {"GPU": list(seen)}[kind])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda card, kind: seen.__setitem__(slice(None), {"GPU": [card]}[kind]))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda card: {"device_name": card.name})


def test_without_cards_cores_are_named(monkeypatch):
    for count, words in {2: "2 CPU cores", 1: "1 CPU core"}.items():
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert devices.in_words(4) == words
    devices.take_card(1)  # changes nothing


def test_the_cards_that_are_used_are_named(three_cards):
    assert devices.in_words() == "H200 A (1 of 3 cards)"
    assert devices.in_words(2) == "H200 A, H200 B (2 of 3 cards)"
    assert devices.in_words(4) == devices.in_words(3) == "H200 A, H200 B, H200 C"


@pytest.mark.parametrize("number, name", [(0, "A"), (2, "C"), (4, "B")])
def test_each_process_takes_one_card_and_a_fourth_one_shares_the_first(three_cards, number, name):
    devices.take_card(number)
    assert devices.cards() == [Card(f"H200 {name}")] and devices.in_words() == f"H200 {name}"


def test_a_machine_of_a_cluster_runs_one_worker(monkeypatch):
    monkeypatch.delenv(CLUSTER, raising=False)
    assert workers_here(4) == 4
    monkeypatch.setenv(CLUSTER, "{}")
    assert workers_here(4) == 1


def test_a_card_gets_a_batch_in_one_part(three_cards):
    histories = parts.Histories(tf.zeros([4, 2]), tf.zeros([9, 2]), tf.zeros([9], tf.int64), None)
    assert parts.histories_in_parts(histories) == [histories]
    assert [len(x) for x in parts.impressions_in_parts(tf.zeros([4, 2]))] == [4]


def test_a_card_scores_batch_after_batch_with_the_same_logits(request):
    """Cores score by `Dataset.map`, which computes nothing on a card."""

    class Doubles:
        labels = ("click",)

        def infer(self, features):
            return 2 * features["x"]

    batches = tf.data.Dataset.from_tensor_slices(({"x": np.arange(10.0, dtype=np.float32)}, np.arange(10))).batch(4)
    on_cores = validation.logits_of(Doubles(), batches)
    request.getfixturevalue("three_cards")
    np.testing.assert_array_equal(validation.logits_of(Doubles(), batches), on_cores)
    np.testing.assert_array_equal(on_cores, 2.0 * np.arange(10))
    assert validation.logits_of(Doubles(), batches.take(0)).shape == (0,)


def test_what_the_user_has_set_for_cards_is_kept(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    share_cards()
    assert (os.environ["NVIDIA_TF32_OVERRIDE"], os.environ["TF_FORCE_GPU_ALLOW_GROWTH"]) == ("1", "true")


def test_a_child_can_still_choose_its_card_when_it_has_imported_everything():
    """TensorFlow refuses to change its devices once it has computed something. It is asked to make two devices of the CPU."""
    program = (
        "import din_trainer.training.workers.worker, din_trainer.tuning.trial_process, tensorflow as tf\n"
        "cpu, = tf.config.list_physical_devices('CPU')\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "assert len(tf.config.list_logical_devices('CPU')) == 2\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
