"""Makes the requests of the fuzz, each from a seed and its number alone, so that any of them can be made again."""

import numpy as np

from benchmarks.hardening.hostile_examples import HostileExamples
from benchmarks.hardening.hostile_tensors import HostileTensors
from benchmarks.hardening.request_case import Case
from din_trainer.features import FeatureConfig


def make_case(seed: int, number: int, inputs: dict[str, dict[str, str]], features: FeatureConfig) -> Case:
    """Makes one case.

    Args:
        seed: The seed of all cases.
        number: The number of the case, from 0.
        inputs: The dtype of each input, by signature.
        features: What the model reads.
    """
    rng = np.random.default_rng((seed, number))
    signature = str(rng.choice(sorted(inputs)))
    if "examples" in inputs[signature]:
        return HostileExamples(rng, features).case(signature)
    return HostileTensors(rng, features, inputs[signature]).case(signature)
