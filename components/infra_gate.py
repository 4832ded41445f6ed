"""Whether an export can be served: loaded, asked, compared and measured outside Python TensorFlow. TFX's InfraValidator, without Docker."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifact_types import LOADING_FILE, SAMPLE_FILE, ScoredSample
from components.base.errors import InputError
from components.base.pins import write_infra_blessing
from components.base.score_tolerance import allowed_difference
from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.exported_features import read_features
from components.serving.model.impression_tensors import Impression, inputs_of
from components.serving.model.loaded_model import (
    Arrays,
    Crashed,
    LoadedModel,
    LoadError,
    ModelError,
    RunError,
    Signature,
    Tensor,
    read_signatures,
)
from components.serving.model.model_server_process import BINARY, ModelServer, find_model_server
from components.serving.model.warm_up import Request, read_warm_up, sample_requests, write_warm_up
from components.serving.store.versions import WARM_UP_FILE
from din_trainer.features import FeatureConfig

LOADER = "TensorFlow's C++ loader"

_ROUNDS, _RUNS, _FEW, _ROUND_SECONDS = 3, 200, 10, 2.0  # of the latency
_TOLD = 300  # characters of a message of TensorFlow's
_MB = 1e6
_CAUSES = {11: ", since a file of its variables is cut short", 15: ", since a file of its variables is damaged"}  # OUT_OF_RANGE, DATA_LOSS

Run = Callable[[str, Arrays], Arrays]


class Refused(Exception):
    """Why the export is not blessed: one sentence."""


class Sample(NamedTuple):
    """Impressions and their training-time scores.

    Attributes:
        users: U impressions.
        candidates: N dicts with the candidate's features for each user.
        probability: (U, N) float64.
    """

    users: list[Impression]
    candidates: list[list[Impression]]
    probability: np.ndarray


class Settings(NamedTuple):
    """What the export is held against.

    Attributes:
        tolerance: Of a score's difference to the training-time one, as `allowed_difference` takes it.
        latency_ms: Bound of the p99 of each scoring signature at batch 1; None for none.
        memory_mb: Bound of the memory, in 10⁶ bytes; None for none.
        model_server: Path of `tensorflow_model_server`; empty takes the one on PATH, and the C++ loader if there is none.
    """

    tolerance: float = 1e-6
    latency_ms: float | None = None
    memory_mb: float | None = None
    model_server: str = ""


def read_sample(folder: Path) -> Sample:
    """What a ScoredSample holds."""
    sample = json.loads((folder / SAMPLE_FILE).read_text())
    return Sample(sample["users"], sample["candidates"], np.array(sample["probability"], np.float64))


def check_signatures(signatures: dict[str, Signature], features: FeatureConfig) -> None:
    """Holds the scoring signatures against what the features demand: names, types and ranks of inputs, and the probability.

    Raises:
        Refused: The first difference.
    """
    for name, inputs, rank in _demanded(features):
        if name not in signatures:
            raise Refused(f"the export has no signature {name!r}.")
        given = signatures[name]
        for missing in sorted(inputs.keys() - given.inputs.keys()):
            raise Refused(f"signature {name!r} lacks the input {missing!r}.")
        for extra in sorted(given.inputs.keys() - inputs.keys()):
            raise Refused(f"signature {name!r} asks for an input {extra!r} that no feature is.")
        if PROBABILITY not in given.outputs:
            raise Refused(f"signature {name!r} lacks the output {PROBABILITY!r}: it gives {', '.join(map(repr, given.outputs))}.")
        for key, demanded in inputs.items():
            _check_tensor(f"input {key!r} of signature {name!r}", given.inputs[key], *demanded)
        _check_tensor(f"output {PROBABILITY!r} of signature {name!r}", given.outputs[PROBABILITY], "float32", rank)


def _demanded(features: FeatureConfig) -> Iterator[tuple[str, dict[str, tuple[str, int]], int]]:
    """Each scoring signature: type and rank of its inputs, and the rank of its output."""
    yield "serving_default", {"examples": ("string", 1)}, 1
    for name, wide in (("predict", 0), ("rank", 1)):
        inputs = {}
        for read in inputs_of(features):
            two = read.column.presence == "sequence" or (wide and read.column.role == "candidate")
            dtype = np.dtype(read.numpy)
            inputs[read.column.name] = ("string" if dtype.hasobject else dtype.name, 2 if two else 1)
        yield name, inputs, 1 + wide


def _check_tensor(what: str, given: Tensor, dtype: str, rank: int) -> None:
    if given.dtype != dtype:
        raise Refused(f"{what} is {given.dtype}, but {dtype} is needed.")
    if given.shape is None or len(given.shape) != rank:
        found = "open" if given.shape is None else len(given.shape)
        raise Refused(f"the rank of {what} is {found}, but {rank} is needed.")


@contextmanager
def _loaded(saved_model: Path, warm_up: Path, server: str | None) -> Iterator[tuple[Any, dict[str, Run]]]:
    """The model in what shall serve it, and the ways of asking it, by name.

    Raises:
        Refused: It cannot be loaded, or whoever loaded it died on the way.
    """
    try:
        if server:
            with ModelServer(server, saved_model, warm_up) as served:
                yield served, {"gRPC": served.run, "REST": served.run_rest}
        else:
            with LoadedModel(saved_model) as loaded:
                yield loaded, {"": loaded.run}
    except LoadError as error:
        raise _not_loaded(error) from error
    except Crashed as error:
        raise Refused(f"the export ended the process that held it: {_first_sentence(error)}.") from error
    except RunError as error:
        raise Refused(f"the export fails on a request that it answered before: {_first_sentence(error)}.") from error


def _not_loaded(error: LoadError) -> Refused:
    return Refused(f"the export cannot be loaded{_CAUSES.get(error.code, '')}: {_first_sentence(error)}.")


def _first_sentence(error: ModelError) -> str:
    text = re.split(r"(?<=[\w)'\"])\. +(?=[A-Z(])", str(error))[0].rstrip(". ")
    return text if len(text) <= _TOLD else text[:_TOLD] + "…"


def compare(run: Run, request: Request, expected: np.ndarray, way: str) -> float:
    """The largest difference of the scores that a request gets.

    Args:
        run: Asks the model.
        request: Of a scoring signature.
        expected: Training-time scores, in the shape of the answer.
        way: Over what it is asked, for the sentence; empty where there is but one.

    Raises:
        Refused: The request fails, or a score is missing or not finite.
        Crashed: As `run`.
    """
    what = f"signature {request.signature!r}" + (f" over {way}" if way else "")
    try:
        scores = run(request.signature, request.tensors)[PROBABILITY]
    except RunError as error:
        python = ", since its graph calls Python, which no server has" if "PyFunc" in str(error) else ""
        raise Refused(f"{what} fails on {_count(expected)} of the sample{python}: {_first_sentence(error)}.") from error
    if scores.shape != expected.shape:
        raise Refused(f"{what} gives scores of shape {scores.shape} where {expected.shape} is needed.")
    if not np.isfinite(scores).all():
        raise Refused(f"{what} gives scores that are not finite ({np.count_nonzero(~np.isfinite(scores)):,} of {scores.size:,}).")
    if not np.isfinite(expected).all():
        raise Refused("training-time scores of the sample are not finite.")
    return float(np.abs(scores - expected).max())


def _count(expected: np.ndarray) -> str:
    return "one impression" if expected.size == 1 else f"{expected.size:,} impressions"


def _expected(request: Request, probability: np.ndarray) -> np.ndarray:
    """The training-time scores of a request of `sample_requests`: of its first impressions or users."""
    size = len(next(iter(request.tensors.values())))
    return (probability if request.signature == "rank" else probability.ravel())[:size]


def measure_latency(served: Any, request: Request) -> dict[str, float]:
    """p50 and p99 in milliseconds of one request again and again, of the calmest of three rounds: what else runs here only ever adds."""
    warm = np.median(served.time(request.signature, request.tensors, _FEW))
    runs = int(np.clip(_ROUND_SECONDS / warm, _FEW, _RUNS))
    rounds = [np.percentile(served.time(request.signature, request.tensors, runs), [50, 99]) * 1e3 for _ in range(_ROUNDS)]
    p50, p99 = min(rounds, key=lambda found: found[1])
    return {"p50": float(p50), "p99": float(p99)}


def examine(saved_model: Path, sample: Sample, settings: Settings, warm_up: Path, found: dict[str, Any]) -> None:
    """Loads the export, runs the sample, which becomes the warm-up requests, and holds what it finds against the settings.

    The latency is that of batch 1 (`rank`: one user with all candidates): of TensorFlow's call alone in the C++ loader, of a call over gRPC
    with a model server. The memory is the peak over all runs, less what the process had before the model was loaded; of a model server, the
    peak without its program.

    Args:
        saved_model: Folder of the export.
        sample: What is asked.
        settings: The bounds.
        warm_up: File to write.
        found: Takes what was found, also up to a refusal: how, largest_difference, latency_ms, memory_mb and requests.

    Raises:
        Refused: The export is not fit to be served.
    """
    if not sample.probability.size:
        raise Refused("the sample is empty: there is nothing to ask the export.")
    server = find_model_server(settings.model_server)
    found["how"] = BINARY if server else LOADER
    try:
        features = read_features(saved_model)
        check_signatures(read_signatures(saved_model), features)
        write_warm_up(warm_up, sample_requests(sample.users, sample.candidates, features))
    except InputError as error:
        raise Refused(str(error)) from error
    except LoadError as error:
        raise _not_loaded(error) from error
    except ValueError as error:
        raise Refused(f"the sample does not fit the export's features: {error}.") from error
    requests, allowed = read_warm_up(warm_up), allowed_difference(settings.tolerance, sample.probability)
    with _loaded(saved_model, warm_up, server) as (served, ways):
        for request in requests:
            for way, run in ways.items():
                difference = compare(run, request, _expected(request, sample.probability), way)
                found["requests"] += 1
                found["largest_difference"] = max(found["largest_difference"] or 0.0, difference)
                if difference > allowed:
                    where = f"signature {request.signature!r}" + (f" over {way}" if way else "")
                    off = f"up to {difference:.2g} off the training-time ones, {allowed:.2g} is allowed (serving.tolerance)"
                    raise Refused(f"scores of {where} are {off}.")
        for request in requests:
            if request.signature not in found["latency_ms"]:  # the first of each is that of batch 1
                found["latency_ms"][request.signature] = measure_latency(served, request)
        found["memory_mb"] = served.memory_bytes() / _MB
    _check_bounds(found, settings)


def _check_bounds(found: dict[str, Any], settings: Settings) -> None:
    signature, slowest = max(found["latency_ms"].items(), key=lambda item: item[1]["p99"])
    if settings.latency_ms is not None and slowest["p99"] > settings.latency_ms:
        took = f"signature {signature!r} takes {slowest['p99']:.2f} ms (p99 at batch 1)"
        raise Refused(f"{took}, but at most {settings.latency_ms:g} ms are asked for (serving.latency_ms).")
    if settings.memory_mb is not None and found["memory_mb"] > settings.memory_mb:
        took = f"the export takes {found['memory_mb']:.0f} MB of memory"
        raise Refused(f"{took}, but at most {settings.memory_mb:g} MB are asked for (serving.memory_mb).")


@component
def InfraGate(
    model: InputArtifact[standard_artifacts.Model],
    sample: InputArtifact[ScoredSample],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    settings: Parameter[str],
    run_id: Parameter[str],
) -> None:
    """Blesses the export if it can be served as it was trained. A bad export is refused in one sentence, and raises nothing.

    Args:
        model: The model that is judged.
        sample: What it is asked, and what training answers.
        blessing: What Pusher asks: TFX's property and file, `loading.json` (what `examine` found, `blessed` and `refused_because`), and
            `tf_serving_warmup_requests`, for the version that is pushed.
        settings: JSON object, as `Settings`.
        run_id: Of this run: what was measured in another hour, or by another server, says nothing of now.
    """
    del run_id
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"how": None, "largest_difference": None, "latency_ms": {}, "memory_mb": None, "requests": 0}
    reason = None
    try:
        saved_model = Path(path_utils.serving_model_dir(model.uri))
        examine(saved_model, read_sample(Path(sample.uri)), Settings(**json.loads(settings)), folder / Path(WARM_UP_FILE).name, found)
    except Refused as refusal:
        reason = str(refusal)
    blessed = reason is None
    (folder / LOADING_FILE).write_text(json.dumps({"blessed": blessed, "refused_because": reason, **found}) + "\n")
    write_infra_blessing(blessing, blessed)
