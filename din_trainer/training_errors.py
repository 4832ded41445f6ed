"""The errors that `din_trainer` raises for its users."""


class TrainingDiverged(RuntimeError):
    """The loss, a weight or a validation figure became NaN or infinite. The message says in which epoch, and what to change."""


class EmptyVocabulary(Exception):
    """No value of a feature can be in its vocabulary. The message is one sentence."""


class NoStart(Exception):
    """The model that a training should start from cannot be read. The message is one sentence."""


class NoCluster(Exception):
    """The workers of a training cannot be started as the environment says, or do not fit together. The message is one sentence."""


class WorkersFailed(Exception):
    """A training by several workers cannot go on. The message is one sentence."""


class TrialFailed(Exception):
    """A search for better settings cannot go on. The message is one sentence."""
