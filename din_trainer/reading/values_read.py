"""Which raw values a model reads: one description for tf.Examples, raw tensors and tables of attributes."""

from din_trainer.feature_parts import Behaviour
from din_trainer.features import TIMESTAMP, FeatureConfig, Placed, is_read
from din_trainer.kinds import Categorical, Cross, DType


def values_read(features: FeatureConfig) -> list[Placed]:
    """Returns all raw features that a model reads.

    The weights and the lengths of tags are parts of their tags. Crosses are made of others. The candidates and histories of behaviours are
    categorical features like others. The time of the impression is one too, if there are time gaps.

    Features with a `lookup` come from tables. All others come from requests.
    """
    behaviours = [b for sequence in features.sequences.values() for b in sequence.items()]
    kinds = {name: _categorical(behaviour, features.vocabulary_of(name).dtype) for name, behaviour in behaviours}
    candidates = {b.candidate: Placed(b.candidate, "candidate", "", kinds[name]) for name, b in behaviours}
    histories = {b.history: Placed(b.history, "behaviour", b.sequence, kinds[name]) for name, b in behaviours}
    read = [p for p in features.placed if is_read(p.feature) and not isinstance(p.feature, Cross)]
    user, candidate, context, events = ([p for p in read if p.role == role] for role in ("user", "candidate", "context", "behaviour"))
    now = [Placed(TIMESTAMP, "context", "", Categorical())] if features.has_time_gaps else []
    return [*user, *candidates.values(), *candidate, *now, *context, *histories.values(), *events]


def values_requested(features: FeatureConfig) -> list[Placed]:
    """Returns the raw features that requests have."""
    return [placed for placed in values_read(features) if not placed.feature.lookup]


def _categorical(behaviour: Behaviour, dtype: DType) -> Categorical:
    return Categorical(dtype=dtype, lookup=behaviour.lookup, column=behaviour.column)
