"""Examines an export outside Python TensorFlow: loads it, compares its scores with the training-time ones, and measures it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.base.errors import InputError
from components.base.score_tolerance import allowed_difference
from components.evaluation.labels import probabilities
from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.gate.check_signatures import check_signatures
from components.serving.gate.refused import Refused, first_sentence, not_loaded
from components.serving.model.exported_features import read_features
from components.serving.model.impression_tensors import Impression
from components.serving.model.loaded_model import Arrays, LoadedModel
from components.serving.model.model_errors import Crashed, LoadError, RunError
from components.serving.model.model_server_process import BINARY, ModelServer, find_model_server
from components.serving.model.saved_signatures import read_signatures
from components.serving.model.warm_up import Request, read_warm_up, sample_requests, write_warm_up

LOADER = "TensorFlow's C++ loader"

_ROUNDS, _RUNS, _FEW, _ROUND_SECONDS = 3, 200, 10, 2.0  # of a measurement of the latency
_MB = 1e6

Run = Callable[[str, Arrays], Arrays]


class Sample(NamedTuple):
    """Impressions and their training-time scores.

    Attributes:
        users: U impressions.
        candidates: For each user N dicts with the features of a candidate.
        probabilities: By output of the model, the first label's first: (U, N) float64.
    """

    users: list[Impression]
    candidates: list[list[Impression]]
    probabilities: dict[str, np.ndarray]


class Settings(NamedTuple):
    """The limits of the examination, and the server that runs it.

    Attributes:
        tolerance: The allowed difference between a score and the training-time one, as `allowed_difference` defines it.
        latency_ms: The limit of the p99 of each scoring signature at batch 1; None for no limit.
        memory_mb: The limit of the memory, in 10⁶ bytes; None for no limit.
        model_server: The path of `tensorflow_model_server`; empty takes the one on PATH, or the C++ loader if there is none.
    """

    tolerance: float = 1e-6
    latency_ms: float | None = None
    memory_mb: float | None = None
    model_server: str = ""


def read_sample(file: Path) -> Sample:
    """Reads the `sample.json` of a ScoredSample artifact."""
    sample = json.loads(file.read_text())
    scores = {output: np.array(sample[output], np.float64) for output in probabilities(sample)}
    return Sample(sample["users"], sample["candidates"], scores)


@contextmanager
def _loaded(saved_model: Path, warm_up: Path, server: str | None) -> Iterator[tuple[Any, dict[str, Run]]]:
    """Loads the export in TF Serving, if there is one, or in the C++ loader; gives it and the functions that ask it, by protocol.

    Raises:
        Refused: The export cannot be loaded, or the process that loaded it died.
    """
    try:
        if server:
            with ModelServer(server, saved_model, warm_up) as served:
                yield served, {"gRPC": served.run, "REST": served.run_rest}
        else:
            with LoadedModel(saved_model) as loaded:
                yield loaded, {"": loaded.run}
    except LoadError as error:
        raise not_loaded(error) from error
    except Crashed as error:
        raise Refused(f"the export ended the process that held it: {first_sentence(error)}.") from error
    except RunError as error:
        raise Refused(f"the export fails on a request that it answered before: {first_sentence(error)}.") from error


def compare(run: Run, request: Request, trained: dict[str, np.ndarray], protocol: str) -> dict[str, float]:
    """Returns the largest difference between the scores of a request and the expected ones, by output.

    Args:
        run: Asks the model.
        request: A request to a scoring signature.
        trained: The training-time scores of the sample, by output.
        protocol: Named in the message; empty if there is only one.

    Raises:
        Refused: The request fails, or a score is missing or not finite.
        Crashed: As for `run`.
    """
    what, expected = _signature(request, protocol), {output: _expected(request, found) for output, found in trained.items()}
    try:
        answer = run(request.signature, request.tensors)
    except RunError as error:
        python = ", since its graph calls Python, which no server has" if "PyFunc" in str(error) else ""
        raise Refused(f"{what} fails on {_count(expected[PROBABILITY])} of the sample{python}: {first_sentence(error)}.") from error
    return {output: _difference(answer[output], scores, f"{what}{_named(output)}") for output, scores in expected.items()}


def _difference(scores: np.ndarray, expected: np.ndarray, what: str) -> float:
    if scores.shape != expected.shape:
        raise Refused(f"{what} gives scores of shape {scores.shape} where {expected.shape} is needed.")
    if not np.isfinite(scores).all():
        raise Refused(f"{what} gives scores that are not finite ({np.count_nonzero(~np.isfinite(scores)):,} of {scores.size:,}).")
    if not np.isfinite(expected).all():
        raise Refused("training-time scores of the sample are not finite.")
    return float(np.abs(scores - expected).max())


def _signature(request: Request, protocol: str) -> str:
    return f"signature {request.signature!r}" + (f" over {protocol}" if protocol else "")


def _named(output: str) -> str:
    return "" if output == PROBABILITY else f", output {output!r},"


def _count(expected: np.ndarray) -> str:
    return "one impression" if expected.size == 1 else f"{expected.size:,} impressions"


def _expected(request: Request, probability: np.ndarray) -> np.ndarray:
    """Returns the training-time scores of a request of `sample_requests`, which has the first impressions or users of the sample."""
    size = len(next(iter(request.tensors.values())))
    return (probability if request.signature == "rank" else probability.ravel())[:size]


def measure_latency(served: Any, request: Request) -> dict[str, float]:
    """Returns p50 and p99 in milliseconds of one repeated request.

    They are those of the round with the lowest p99 of three rounds: other load on the machine can only make a round slower.
    """
    warm = np.median(served.time(request.signature, request.tensors, _FEW))
    runs = int(np.clip(_ROUND_SECONDS / warm, _FEW, _RUNS))
    rounds = [np.percentile(served.time(request.signature, request.tensors, runs), [50, 99]) * 1e3 for _ in range(_ROUNDS)]
    p50, p99 = min(rounds, key=lambda found: found[1])
    return {"p50": float(p50), "p99": float(p99)}


def examine(saved_model: Path, sample: Sample, settings: Settings, warm_up: Path, found: dict[str, Any]) -> None:
    """Loads the export, sends it the sample, measures it, and checks the results against the settings.

    The latency is that of batch 1 (`rank`: one user with all candidates). In the C++ loader it is that of TensorFlow's call alone, with a
    model server that of a call over gRPC. The memory is the peak over all runs minus what the process had before it loaded the model; for a
    model server it is the peak without the server's program.

    Args:
        saved_model: The folder of the export.
        sample: The impressions that are sent, with the expected scores.
        settings: The limits.
        warm_up: The file to which the requests are written, for TF Serving's warm-up.
        found: Gets the results, also those before a refusal: how, largest_difference, latency_ms, memory_mb and requests.

    Raises:
        Refused: The export must not be served.
    """
    if not sample.probabilities[PROBABILITY].size:
        raise Refused("the sample is empty: there is nothing to ask the export.")
    server = find_model_server(settings.model_server)
    found["how"] = BINARY if server else LOADER
    _write_requests(saved_model, sample, warm_up)
    requests, allowed = read_warm_up(warm_up), {o: allowed_difference(settings.tolerance, p) for o, p in sample.probabilities.items()}
    with _loaded(saved_model, warm_up, server) as (served, protocols):
        for request in requests:
            for protocol, run in protocols.items():
                differences = compare(run, request, sample.probabilities, protocol)
                found["requests"] += 1
                found["largest_difference"] = max(found["largest_difference"] or 0.0, *differences.values())
                for output, difference in differences.items():
                    if difference > allowed[output]:
                        off = f"up to {difference:.2g} off the training-time ones, {allowed[output]:.2g} is allowed (serving.tolerance)"
                        raise Refused(f"scores of {_signature(request, protocol)}{_named(output)} are {off}.")
        for request in requests:
            if request.signature not in found["latency_ms"]:  # the first request of each signature has batch 1
                found["latency_ms"][request.signature] = measure_latency(served, request)
        found["memory_mb"] = served.memory_bytes() / _MB
    _check_limits(found, settings)


def _write_requests(saved_model: Path, sample: Sample, warm_up: Path) -> None:
    """Checks the signatures of the export, and writes the requests that send the sample to them."""
    try:
        features = read_features(saved_model)
        check_signatures(read_signatures(saved_model), features)
        write_warm_up(warm_up, sample_requests(sample.users, sample.candidates, features))
    except InputError as error:
        raise Refused(str(error)) from error
    except LoadError as error:
        raise not_loaded(error) from error
    except ValueError as error:
        raise Refused(f"the sample does not fit the export's features: {error}.") from error


def _check_limits(found: dict[str, Any], settings: Settings) -> None:
    signature, slowest = max(found["latency_ms"].items(), key=lambda item: item[1]["p99"])
    if settings.latency_ms is not None and slowest["p99"] > settings.latency_ms:
        took = f"signature {signature!r} takes {slowest['p99']:.2f} ms (p99 at batch 1)"
        raise Refused(f"{took}, but at most {settings.latency_ms:g} ms are asked for (serving.latency_ms).")
    if settings.memory_mb is not None and found["memory_mb"] > settings.memory_mb:
        took = f"the export takes {found['memory_mb']:.0f} MB of memory"
        raise Refused(f"{took}, but at most {settings.memory_mb:g} MB are asked for (serving.memory_mb).")
