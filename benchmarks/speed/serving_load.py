"""Part of `din bench serve`: a user's candidates while many callers ask at the same time, in our `rank` and in plain Keras.

The model is in TensorFlow's C++ loader on two cores, as a small server has. Each caller is a thread of that process, and asks again as
soon as it has its answer. So requests wait for each other, and a slower model makes all of them wait longer. Two operations run at the same
time. Each has a thread of its own, as in `deploy/serving`, or two threads share one, as in a server that is started without options.
"""

import contextlib
import itertools
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
OP_THREADS = (1, CORES)  # that share an operation; the first is that of `deploy/serving`
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


def measure_load(exports: Exports, candidates: int, console: Console) -> dict[str, dict[str, Figures]]:
    """Measures both models in alternating rounds.

    Args:
        exports: The models.
        candidates: The candidates of a request.
        console: Where progress is printed.

    Returns:
        For `rank` and `plain_keras`, by the threads that share an operation, the best median and 99th percentile of a request over the
        rounds, in milliseconds.
    """
    requests = ranking_requests(candidates, HISTORY)
    models = {
        "rank": (exports.ours[HISTORY], "rank", requests["rank"]),
        "plain_keras": (exports.plain_keras, "serving_default", requests["impressions"]),
    }
    with contextlib.ExitStack() as loaded:
        calls: dict[tuple[str, str], Any] = {}
        for (name, (path, signature, request)), threads in itertools.product(models.items(), OP_THREADS):
            model = loaded.enter_context(LoadedModel(path, CORES, threads))
            calls[name, str(threads)] = partial(model.time, signature, request, REPEAT, callers=CALLERS)
        for call in calls.values():
            call()  # to warm up
        rounds = measure_in_rounds(calls, console)
    return {name: {str(threads): best_of(rounds[name, str(threads)]) for threads in OP_THREADS} for name in models}


def best_of(rounds: list[np.ndarray]) -> Figures:
    """Returns the lowest median and 99th percentile over rounds of seconds, in milliseconds."""
    return {f"p{q}_ms": min(float(np.percentile(seconds, q)) for seconds in rounds) * 1e3 for q in (50, 99)}
