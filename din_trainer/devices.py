"""What TensorFlow computes on in this process: the cores of the CPU, or a card (GPU)."""

import os
from typing import Any

import tensorflow as tf


def cards() -> list[Any]:
    """The cards that TensorFlow sees and may use. A process computes on the first one."""
    return tf.config.get_visible_devices("GPU")


def take_card(number: int) -> None:
    """Leaves this process one of the cards, the others to processes that train at the same time.

    Args:
        number: The number of the process among those of this machine, from 0. If there are fewer cards, some share one.

    Raises:
        RuntimeError: TensorFlow has computed something already, so it has the cards.
    """
    if seen := cards():
        tf.config.set_visible_devices(seen[number % len(seen)], "GPU")


def in_words(processes: int = 1) -> str:
    """What a training computes on, for people.

    Args:
        processes: How many processes of this machine train at the same time.
    """
    seen = [tf.config.experimental.get_device_details(card).get("device_name", "GPU of an unknown name") for card in cards()]
    if not seen:
        cores = os.cpu_count() or 1
        return f"{cores} CPU core{'s' * (cores > 1)}"
    used = seen[:processes]
    return ", ".join(used) if len(used) == len(seen) else f"{', '.join(used)} ({len(used)} of {len(seen)} cards)"
