"""Settings of TensorFlow and NVIDIA's libraries for cards (GPUs), which both read from the environment."""

import os


def share_cards() -> None:
    """Lets several processes use a card, and computes float32 as on a CPU. Call it before TensorFlow is imported.

    By default TensorFlow takes all memory of each card at once. Then the trials of a search, the workers of a training, or two commands
    could not use a card at the same time. And cards since NVIDIA's Ampere multiply float32 matrices with 10 of the 23 bits by default
    (TF32). `training.precision` says instead whether fewer bits are enough. What the user has set is kept.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")


NO_CARDS = {"CUDA_VISIBLE_DEVICES": "-1"}  # in the environment of a process: it computes on the CPU, and takes no memory of a card
