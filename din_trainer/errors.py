"""What can go wrong in training, as one sentence."""


class TrainingDiverged(RuntimeError):
    """The loss or a weight is NaN or infinite. The message names the learning rate, the clipping and the epoch."""
