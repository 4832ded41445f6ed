"""Part of `din bench serve`: a user's candidates while many callers ask at the same time, in our `rank` and in plain Keras.

The model is in TensorFlow's C++ loader, which has two threads a pool and two cores, as a small server has. Each caller is a thread of that
process, and asks again as soon as it has its answer. So requests wait for each other, and a slower model makes all of them wait longer.
"""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed.rounds import measure_in_rounds
from benchmarks.speed.serving_exports import HISTORY, Exports
from benchmarks.speed.serving_requests import make_impressions
from components.serving.model.impression_tensors import Tensors, as_impressions, predict_tensors, rank_tensors
from components.serving.model.loaded_model import LoadedModel
from din_trainer.features import FeatureConfig
from pipeline.console import Console

CALLERS, CORES = 32, 2
REPEAT = 20  # calls of each caller in a round

Figures = dict[str, float]


def ranking_requests(candidates: int, history: int) -> dict[str, Tensors]:
    """Returns the request of one user with so many candidates: for `rank`, and for a model that takes each as an impression."""
    features, user = FeatureConfig(history_length=history), make_impressions(1, history)[0]
    names = ("candidate_item_id", "candidate_category_id")
    of_user = [[{name: row[name] for name in names} for row in make_impressions(candidates, history)]]
    return {
        "rank": rank_tensors([user], of_user, features),
        "impressions": predict_tensors(as_impressions([user], of_user), features),
    }


def measure_load(exports: Exports, candidates: int, console: Console) -> dict[str, Figures]:
    """Measures both models in alternating rounds.

    Args:
        exports: The models.
        candidates: The candidates of a request.
        console: Where progress is printed.

    Returns:
        For `rank` and `plain_keras` the best median and 99th percentile of a request over the rounds, in milliseconds.
    """
    requests = ranking_requests(candidates, HISTORY)
    with LoadedModel(exports.ours[HISTORY], CORES) as ours, LoadedModel(exports.plain_keras, CORES) as keras:
        calls: dict[str, Any] = {
            "rank": partial(ours.time, "rank", requests["rank"], REPEAT, callers=CALLERS),
            "plain_keras": partial(keras.time, "serving_default", requests["impressions"], REPEAT, callers=CALLERS),
        }
        for call in calls.values():
            call()  # to warm up
        rounds = measure_in_rounds(calls, console)
    return {name: best_of(found) for name, found in rounds.items()}


def best_of(rounds: list[np.ndarray]) -> Figures:
    """Returns the lowest median and 99th percentile over rounds of seconds, in milliseconds."""
    return {f"p{q}_ms": min(float(np.percentile(seconds, q)) for seconds in rounds) * 1e3 for q in (50, 99)}
