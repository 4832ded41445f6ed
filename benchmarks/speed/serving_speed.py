"""What a request costs, beside other ways to serve the same network: `din bench serve`.

Every SavedModel is called by the same caller, TensorFlow's C++ loader, which TF Serving has too, in a process of its own; time is measured
around the call of its session alone. All runtimes get one thread a pool and the same core. In each round all of them are measured one after
the other; figures are the best over the rounds: what else runs on a shared machine only ever slows a round down.

* Requests of 1 to 2,048 impressions: our signatures, the same network exported from plain Keras, DeepCTR's, and its dense core in ONNX
  Runtime, beside what our graph needs to get to that core: parsing and lookups.
* A user with 500 candidates: `rank` beside 500 impressions in `serving_default`.

Vocabularies are those of the notebook; embeddings of 16, an attention unit of (80, 40), an MLP of (128, 64, 32), Dice. Weights are random.
Every history is full, which is when padding costs the others nothing.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.peers import peer_environment
from benchmarks.speed.training_speed import ATTENTION, DIM, MLP, Worker, peak_flops
from components.base.errors import InputError
from components.serving.model.impression_tensors import Impression, Tensors, as_impressions, predict_tensors, rank_tensors, to_example
from components.serving.model.loaded_model import LoadedModel
from components.serving.model.process_messages import write_frame
from din_trainer.features import FeatureConfig
from pipeline.terminal import output_to

WORKERS = Path(__file__).parents[1] / "peers" / "workers"
IDS = {"user": 1_000, "item": 500, "category": 40}
HISTORY, RANKED_HISTORIES, CANDIDATES = 10, (10, 50), 500
REPEATS = {1: 1_000, 32: 500, 256: 200, 2_048: 100}  # runs a round, by rows of a request
RANK_REPEATS = 100
ROUNDS, WARM_UP, THREADS = 7, 10, 1

OURS = {
    "serving_default": "ours, serving_default",
    "predict": "ours, predict",
    "python_serving_default": "ours, serving_default in Python",
    "python_predict": "ours, predict in Python",
    "transform_features": "ours, transform_features",
}
PEERS = {"plain_keras": "plain Keras", "deepctr": "DeepCTR (no lookups)", "onnx_core": "ONNX Runtime (the core)"}
NOTES = """transform_features is our parsing and lookups alone, the core what comes after lookups.
DeepCTR's ids are rows of its tables already: it has nothing to look up."""

Figures = dict[str, float]
Name = tuple[str, str]  # of a case: a subject and its number of rows, or a history's length and a signature


class Case(NamedTuple):
    """What is timed: `time(n)` gives the seconds of each of n requests of so many rows."""

    rows: int
    repeat: int
    time: Callable[[int], np.ndarray]


def figures(rounds: list[np.ndarray], rows: int) -> Figures:
    """The best of the rounds, each for itself: quantiles of the seconds of a request, as ms, and rows a second by their mean."""
    p50, p99 = (min(float(np.percentile(seconds, q)) for seconds in rounds) * 1e3 for q in (50, 99))
    return {"p50_ms": p50, "p99_ms": p99, "rows_per_s": rows / min(float(seconds.mean()) for seconds in rounds)}


def alternate(cases: dict[Name, Case], console: Console) -> dict[Name, Figures]:
    """The figures of each case, in rounds of all."""
    for case in cases.values():
        case.time(WARM_UP)
    rounds: dict[Name, list[np.ndarray]] = {key: [] for key in cases}
    for number in range(ROUNDS):
        for key, case in cases.items():
            rounds[key].append(case.time(case.repeat))
        console.print(f"  round {number + 1} of {ROUNDS}", highlight=False)
    return {key: figures(rounds[key], case.rows) for key, case in cases.items()}


class Requests(NamedTuple):
    """The same impressions as each model takes them."""

    examples: Tensors
    raw: Tensors  # of `predict` and of plain Keras
    deepctr: Tensors  # ids from 1, int32
    core: Tensors  # plain Keras' rows: its vocabularies begin at 2


def make_impressions(count: int, history: int) -> list[Impression]:
    """Impressions with known ids and full histories; an item's category is its id modulo their number."""
    rng = np.random.default_rng(0)
    items = rng.integers(0, IDS["item"], (count, 1 + history))
    categories = items % IDS["category"]
    return [
        {
            "user_id": int(user),
            "candidate_item_id": int(item[0]),
            "candidate_category_id": int(category[0]),
            "historical_item_ids": item[1:].tolist(),
            "historical_category_ids": category[1:].tolist(),
        }
        for user, item, category in zip(rng.integers(0, IDS["user"], count), items, categories, strict=True)
    ]


def as_examples(impressions: list[Impression], features: FeatureConfig) -> Tensors:
    """The input of the signatures that parse."""
    return {"examples": np.array([to_example(row, features) for row in impressions], object)}


_DEEPCTR_NAMES = {
    "user": "user_id",
    "item": "candidate_item_id",
    "category": "candidate_category_id",
    "hist_item": "historical_item_ids",
    "hist_category": "historical_category_ids",
}


def make_requests(impressions: list[Impression], features: FeatureConfig) -> Requests:
    """One request of all the impressions for each model."""
    raw = predict_tensors(impressions, features)
    return Requests(
        examples=as_examples(impressions, features),
        raw=raw,
        deepctr={name: raw[ours].reshape(len(impressions), -1).astype(np.int32) + 1 for name, ours in _DEEPCTR_NAMES.items()},
        core={name: ids + 2 for name, ids in raw.items()},
    )


class Exports(NamedTuple):
    """What is served: our SavedModels by the length of the histories, the peers' for `HISTORY`."""

    ours: dict[int, Path]
    plain_keras: Path
    onnx_core: Path
    deepctr: Path


def _export(name: str, command: list[str]) -> None:
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise InputError(f"The export of {name} failed: {process.stderr.strip()[-2000:]}")


def make_exports(folder: Path, peers_python: Path) -> Exports:
    """Writes all models, side by side.

    Raises:
        InputError: One cannot be written; the message holds the last words.
    """
    ids, ours = json.dumps(IDS), [sys.executable, str(WORKERS / "our_exports.py"), str(folder / "ours"), json.dumps(RANKED_HISTORIES)]
    peers = {
        "plain Keras": [str(peers_python), str(WORKERS / "plain_keras_din.py"), str(folder), str(HISTORY)],
        "DeepCTR": [str(peers_python), str(WORKERS / "deepctr_export.py"), str(folder / "deepctr"), str(HISTORY)],
    }
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_export, name, [*command, ids]) for name, command in {"our model": ours, **peers}.items()]:
            done.result()
    return Exports(
        ours={length: folder / "ours" / str(length) for length in RANKED_HISTORIES},
        plain_keras=folder / "saved_model",
        onnx_core=folder / "core.onnx",
        deepctr=folder / "deepctr",
    )


def pin(pid: int) -> None:
    """Keeps a process and its threads on one core, so that what a thread hands to another does not wait for a core to wake up."""
    core = {min(os.sched_getaffinity(0))}
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), core)


def _worker_call(worker: Worker, call: str) -> Callable[[int], np.ndarray]:
    return lambda repeat: np.array(worker.ask(call=call, repeat=repeat)["seconds"])


def _loader_call(model: LoadedModel, signature: str, inputs: Tensors) -> Callable[[int], np.ndarray]:
    return lambda repeat: model.time(signature, inputs, repeat)


class Contestants(contextlib.ExitStack):
    """Everything loaded, each in a process of its own; a context that ends them."""

    def __init__(self, exports: Exports, requests: dict[int, Requests], peers_python: Path, folder: Path):
        """Loads.

        Args:
            exports: The models.
            requests: By rows.
            peers_python: Of the environment that has ONNX Runtime.
            folder: Where the workers' requests are handed over.
        """
        super().__init__()
        self._requests = requests
        with contextlib.ExitStack() as loaded:
            self.ours = {length: loaded.enter_context(LoadedModel(path, THREADS)) for length, path in exports.ours.items()}
            self._keras = loaded.enter_context(LoadedModel(exports.plain_keras, THREADS))
            self._deepctr = loaded.enter_context(LoadedModel(exports.deepctr, THREADS))
            in_python = {
                f"{signature}_{rows}": (signature, inputs)
                for rows, request in requests.items()
                for signature, inputs in (("serving_default", request.examples), ("predict", request.raw))
            }
            core = {f"core_{rows}": ("", request.core) for rows, request in requests.items()}
            self._python = self._start("python_calls.py", sys.executable, exports.ours[HISTORY], in_python, folder)
            loaded.callback(self._python.close)
            self._onnx = self._start("onnx_calls.py", str(peers_python), exports.onnx_core, core, folder)
            loaded.callback(self._onnx.close)
            loaders = [*self.ours.values(), self._keras, self._deepctr]
            for pid in [*(loader.pid for loader in loaders), self._python.pid, self._onnx.pid]:
                pin(pid)
            self.push(loaded.pop_all())

    @staticmethod
    def _start(script: str, python: str, model: Path, requests: dict[str, Any], folder: Path) -> Worker:
        file = folder / f"{script}.frames"
        with open(file, "wb") as frames:
            for name, (signature, inputs) in requests.items():
                write_frame(frames, [name, signature, list(inputs)], list(inputs.values()))
        return Worker(script, [python, str(WORKERS / script), str(model), str(file), str(THREADS)])

    @property
    def versions(self) -> dict[str, str]:
        """Of the runtimes."""
        return {"tensorflow": self._python.version, "onnxruntime": self._onnx.version}

    def calls(self, rows: int) -> dict[str, Callable[[int], np.ndarray]]:
        """A request of so many rows, by the keys of `OURS` and `PEERS`."""
        request, ours = self._requests[rows], self.ours[HISTORY]
        return {
            "serving_default": _loader_call(ours, "serving_default", request.examples),
            "predict": _loader_call(ours, "predict", request.raw),
            "plain_keras": _loader_call(self._keras, "serving_default", request.raw),
            "deepctr": _loader_call(self._deepctr, "serving_default", request.deepctr),
            "onnx_core": _worker_call(self._onnx, f"core_{rows}"),
            "transform_features": _loader_call(ours, "transform_features", request.examples),
            "python_serving_default": _worker_call(self._python, f"serving_default_{rows}"),
            "python_predict": _worker_call(self._python, f"predict_{rows}"),
        }


def rank_cases(model: LoadedModel, history: int) -> dict[str, Case]:
    """`rank` of a user with all candidates, and the same impressions in `serving_default`, whose scores must be the same."""
    features = FeatureConfig(history_length=history)
    user = make_impressions(1, history)[0]
    names = ("candidate_item_id", "candidate_category_id")
    candidates = [[{name: row[name] for name in names} for row in make_impressions(CANDIDATES, history)]]
    inputs = {
        "rank": rank_tensors([user], candidates, features),
        "serving_default": as_examples(as_impressions([user], candidates), features),
    }
    ranked, scored = (model.run(signature, tensors)["probability"].ravel() for signature, tensors in inputs.items())
    assert np.allclose(ranked, scored, rtol=0, atol=1e-6)
    return {name: Case(CANDIDATES, RANK_REPEATS, _loader_call(model, name, tensors)) for name, tensors in inputs.items()}


def flops_of_rank(history: int) -> float:
    """Floating-point operations of `rank`'s matrix products for all candidates that no sharing can save, two a multiply-add.

    The attention unit's product block and second layer for each candidate and event, and the MLP for each candidate.
    """
    pair = 2 * DIM * ATTENTION[0] + ATTENTION[0] * ATTENTION[1] + ATTENTION[1]  # an event is item and category
    widths = (5 * DIM, *MLP, 1)  # user, candidate and interest come in, the latter two as item and category
    return 2 * CANDIDATES * (history * pair + sum(a * b for a, b in itertools.pairwise(widths)))


def one_thread_peak() -> float:
    """Floating-point operations a second of large single-precision matrix products on one thread."""
    with threadpool_limits(THREADS):
        return peak_flops()


def ratios(ours: dict[str, dict[str, Figures]], peers: dict[str, dict[str, Figures]], rank: dict[str, dict[str, Figures]]) -> Figures:
    """Of the times of a request (p50); the smaller the better for us."""
    result = {
        f"rank_{CANDIDATES}_{history}": found["rank"]["p50_ms"] / found["serving_default"]["p50_ms"] for history, found in rank.items()
    }
    for rows in ours["predict"]:
        p50 = {name: by_rows[rows]["p50_ms"] for name, by_rows in {**ours, **peers}.items()}
        result |= {
            f"predict_{rows}_vs_keras": p50["predict"] / p50["plain_keras"],
            f"predict_{rows}_vs_deepctr": p50["predict"] / p50["deepctr"],
            f"serving_default_{rows}_vs_transform_and_onnx": p50["serving_default"] / (p50["transform_features"] + p50["onnx_core"]),
            f"predict_{rows}_vs_python": p50["predict"] / p50["python_predict"],
        }
    return result


def rank_floors(rank: dict[str, dict[str, Figures]], peak: float) -> Figures:
    """What the ratio of `rank` would be if its matrix products ran at the machine's peak and all else took no time."""
    return {
        f"rank_{CANDIDATES}_{history}_floor": flops_of_rank(int(history.removeprefix("history_")))
        / peak
        / (found["serving_default"]["p50_ms"] / 1e3)
        for history, found in rank.items()
    }


def measure(console: Console) -> dict[str, Any]:
    """Everything; the result is what `--json` prints."""
    console.print("the peers' environment (made once, 1 to 3 minutes)", highlight=False)
    python = peer_environment.prepare(peer_environment.cache_folder())
    features = FeatureConfig(history_length=HISTORY)
    requests = {rows: make_requests(make_impressions(rows, HISTORY), features) for rows in REPEATS}
    with tempfile.TemporaryDirectory(prefix="din-bench-") as name:
        folder = Path(name)
        console.print("exports", highlight=False)
        with Contestants(make_exports(folder, python), requests, python, folder) as contestants:
            versions = contestants.versions
            cases = {
                (subject, str(rows)): Case(rows, repeat, call)
                for rows, repeat in REPEATS.items()
                for subject, call in contestants.calls(rows).items()
            }
            for history, model in contestants.ours.items():
                cases |= {(f"history_{history}", subject): case for subject, case in rank_cases(model, history).items()}
            console.print("requests", highlight=False)
            best = alternate(cases, console)
    peak = one_thread_peak()
    found: dict[str, dict[str, Figures]] = {}
    for (group, key), value in best.items():
        found.setdefault(group, {})[key] = value
    ours, peers = ({name: found[name] for name in names} for names in (OURS, PEERS))
    rank = {f"history_{history}": found[f"history_{history}"] for history in RANKED_HISTORIES}
    return {
        "ours": ours,
        "peers": peers,
        "rank": rank,
        "ratios": {**ratios(ours, peers, rank), **rank_floors(rank, peak)},
        "peak_gflops": peak / 1e9,
        "threads": THREADS,
        "versions": versions,
    }


def _table(title: str, rows: dict[str, list[str]], columns: list[str]) -> Table:
    table = Table("", *columns, title=title, title_justify="left")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def print_tables(result: dict[str, Any], console: Console) -> None:
    """The same for people."""
    rows = {text: {**result["ours"], **result["peers"]}[name] for name, text in {**OURS, **PEERS}.items()}
    columns = [f"{count:,}" for count in REPEATS]
    figures_of = {"p50_ms": "ms a request by its rows, median", "p99_ms": "ms a request by its rows, 99th percentile"}
    for figure, title in figures_of.items():
        cells = {name: [f"{by_count[str(count)][figure]:.3f}" for count in REPEATS] for name, by_count in rows.items()}
        console.print(_table(title, cells, columns))
    rates = {name: [f"{by_count[str(count)]['rows_per_s']:,.0f}" for count in REPEATS] for name, by_count in rows.items()}
    console.print(_table("rows a second by the rows of a request", rates, columns))
    console.print(NOTES, highlight=False)
    signatures = {"rank": "rank", "serving_default": f"serving_default, {CANDIDATES} rows"}
    ranked = {
        text: [f"{found[signature]['p50_ms']:.3f} / {found[signature]['p99_ms']:.3f}" for found in result["rank"].values()]
        for signature, text in signatures.items()
    }
    lengths = [history.removeprefix("history_") for history in result["rank"]]
    console.print(
        _table(f"ms for a user's {CANDIDATES} candidates by the events of the history, median / 99th percentile", ranked, lengths)
    )
    console.print(_table("", {name: [f"{ratio:.2f}"] for name, ratio in result["ratios"].items()}, ["ratio of medians"]))
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    console.print(
        f"{result['threads']} thread a pool, one core; histories of {HISTORY} where no length is given; {versions}",
        highlight=False,
    )


def main(as_json: bool) -> int:
    """Measures, then prints tables or JSON."""
    with output_to(Path(os.devnull)) as terminal:
        console = Console(file=terminal, quiet=as_json)
        result = measure(console)
        if as_json:
            print(json.dumps(result), file=terminal)
        else:
            print_tables(result, console)
    return 0
