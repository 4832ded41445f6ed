"""`din bench serve`: compares the time of a request with other ways to serve the same network.

Every SavedModel is called by TensorFlow's C++ loader, which TF Serving uses as well, in a process of its own. Only the call of the session
is timed. All runtimes get one thread a pool and the same core.

* Requests of 1 to 2,048 impressions: our signatures, the same network exported from plain Keras, DeepCTR's network, and the network behind
  plain Keras' lookups (the core) in ONNX Runtime. Our parsing and lookups, which come before the core, are timed alone as well.
* One user with 500 candidates: `rank` compared with 500 impressions in `predict`, and with the time of its matrix products alone.
* The same while 32 callers ask at once: `rank` compared with plain Keras (see `serving_load`).

The vocabularies have the sizes of the notebook's. The network has embeddings of 16, an attention unit of (80, 40), an MLP of (128, 64, 32)
and Dice, with random weights. Every history is full: padding then costs the others nothing.
"""

import json
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers import peer_environment
from benchmarks.speed.matrix_products import peak_flops, ranking_flops
from benchmarks.speed.rounds import measure_in_rounds
from benchmarks.speed.serving_contestants import THREADS, Contestants, TimedCalls, loader_calls
from benchmarks.speed.serving_exports import HISTORY, RANKED_HISTORIES, make_exports
from benchmarks.speed.serving_load import CALLERS, CORES, OP_THREADS, measure_load, ranking_requests
from benchmarks.speed.serving_requests import make_impressions, make_requests
from benchmarks.speed.speed_tables import labelled_table
from components.serving.model.loaded_model import LoadedModel
from din_trainer.features import FeatureConfig
from pipeline.console import Console
from pipeline.terminal import output_to, say

CANDIDATES = 500
REPEATS = {1: 1_000, 32: 500, 256: 200, 2_048: 100}  # calls a round, by the rows of a request
RANK_REPEATS, WARM_UP = 100, 10

OURS = {
    "serving_default": "ours, serving_default",
    "predict": "ours, predict",
    "python_serving_default": "ours, serving_default in Python",
    "python_predict": "ours, predict in Python",
    "transform_features": "ours, transform_features",
}
PEERS = {"plain_keras": "plain Keras", "deepctr": "DeepCTR (no lookups)", "onnx_core": "ONNX Runtime (the core)"}
NOTES = (
    "transform_features does our parsing and lookups alone; the core is what comes after the lookups.",
    "DeepCTR's ids are the rows of its tables: it does no lookups.",
)

Figures = dict[str, float]
Name = tuple[str, str]  # of a case: a name of OURS or PEERS and the number of rows, or the length of the history and a signature


class Case(NamedTuple):
    """What is timed.

    Attributes:
        rows: The rows of a request.
        repeat: The calls in a round.
        time: Makes n calls and returns the seconds of each.
    """

    rows: int
    repeat: int
    time: TimedCalls


def time_cases(cases: dict[Name, Case], console: Console) -> dict[Name, Figures]:
    """Times all cases in rounds, after some calls of each to warm up. Returns the figures of each."""
    for case in cases.values():
        case.time(WARM_UP)
    rounds = measure_in_rounds({name: partial(case.time, case.repeat) for name, case in cases.items()}, console)
    return {name: best_figures(rounds[name], case.rows) for name, case in cases.items()}


def best_figures(rounds: list[np.ndarray], rows: int) -> Figures:
    """Returns the best value over the rounds of each figure.

    Args:
        rounds: The seconds of the requests, by round.
        rows: The rows of a request.

    Returns:
        The median and the 99th percentile of a request's milliseconds, and the rows a second by the mean.
    """
    p50, p99 = (min(float(np.percentile(seconds, q)) for seconds in rounds) * 1e3 for q in (50, 99))
    return {"p50_ms": p50, "p99_ms": p99, "rows_per_s": rows / min(float(seconds.mean()) for seconds in rounds)}


def rank_cases(model: LoadedModel, history: int) -> dict[str, Case]:
    """Returns the cases of one user with all candidates, in `rank` and as impressions in `predict`. Checks that scores agree."""
    requests = ranking_requests(CANDIDATES, history)
    inputs = {"rank": requests["rank"], "predict": requests["impressions"]}
    ranked, scored = (model.run(signature, tensors)["probability"].ravel() for signature, tensors in inputs.items())
    assert np.allclose(ranked, scored, rtol=0, atol=1e-6)
    return {name: Case(CANDIDATES, RANK_REPEATS, loader_calls(model, name, tensors)) for name, tensors in inputs.items()}


def ratios(ours: dict[str, dict[str, Figures]], peers: dict[str, dict[str, Figures]], rank: dict[str, dict[str, Figures]]) -> Figures:
    """Returns the ratios of the median times of a request, ours divided by the other one's: smaller is better."""
    result = {f"rank_{CANDIDATES}_{history}": found["rank"]["p50_ms"] / found["predict"]["p50_ms"] for history, found in rank.items()}
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
    """Returns how far `rank` is from its matrix products alone, if they ran at the peak and all other work took no time.

    Args:
        rank: The figures by history and signature.
        peak: The floating-point operations a second of the machine.

    Returns:
        For each history what the ratio of `rank` would then be (`_floor`), and how many times that time `rank` takes (`_vs_products`).
    """
    result: Figures = {}
    for history, found in rank.items():
        products = ranking_flops(int(history.removeprefix("history_")), CANDIDATES) / peak * 1e3  # ms
        result[f"rank_{CANDIDATES}_{history}_floor"] = products / found["predict"]["p50_ms"]
        result[f"rank_{CANDIDATES}_{history}_vs_products"] = found["rank"]["p50_ms"] / products
    return result


def load_ratios(load: dict[str, dict[str, Figures]]) -> Figures:
    """Returns the ratio of the 99th percentiles under load, with the threads of `deploy/serving`."""
    rank, keras = (load[name][str(OP_THREADS[0])]["p99_ms"] for name in ("rank", "plain_keras"))
    return {f"rank_{CANDIDATES}_p99_under_load_vs_keras": rank / keras}


def measure(console: Console) -> dict[str, Any]:
    """Makes all measurements. Returns what `--json` prints."""
    best, load, versions = _measure_requests(console)
    with threadpool_limits(THREADS):
        peak = peak_flops()
    found: dict[str, dict[str, Figures]] = {}
    for (group, key), value in best.items():
        found.setdefault(group, {})[key] = value
    ours, peers = ({name: found[name] for name in names} for names in (OURS, PEERS))
    rank = {f"history_{history}": found[f"history_{history}"] for history in RANKED_HISTORIES}
    return {
        "ours": ours,
        "peers": peers,
        "rank": rank,
        "load": load,
        "ratios": {**ratios(ours, peers, rank), **rank_floors(rank, peak), **load_ratios(load)},
        "peak_gflops": peak / 1e9,
        "threads": THREADS,
        "versions": versions,
    }


def _measure_requests(console: Console) -> tuple[dict[Name, Figures], dict[str, dict[str, Figures]], dict[str, str]]:
    """Returns the figures of all cases, those under load, and the versions of the runtimes."""
    console.print("the peers' environment (made once, 1 to 3 minutes)", highlight=False)
    python = peer_environment.prepare(peer_environment.cache_folder())
    features = FeatureConfig(history_length=HISTORY)
    requests = {rows: make_requests(make_impressions(rows, HISTORY), features) for rows in REPEATS}
    with tempfile.TemporaryDirectory(prefix="din-bench-") as name:
        folder = Path(name)
        console.print("exports", highlight=False)
        exports = make_exports(folder, python)
        with Contestants(exports, requests, python, folder) as contestants:
            cases = {
                (subject, str(rows)): Case(rows, repeat, calls)
                for rows, repeat in REPEATS.items()
                for subject, calls in contestants.calls(rows).items()
            }
            for history, model in contestants.ours.items():
                cases |= {(f"history_{history}", signature): case for signature, case in rank_cases(model, history).items()}
            console.print("requests", highlight=False)
            best, versions = time_cases(cases, console), contestants.versions
        console.print(f"{CALLERS} callers at once", highlight=False)
        return best, measure_load(exports, CANDIDATES, console), versions


def print_tables(result: dict[str, Any], console: Console) -> None:
    """Prints the measurements as tables."""
    rows = {text: {**result["ours"], **result["peers"]}[name] for name, text in {**OURS, **PEERS}.items()}
    columns = [f"{count:,}" for count in REPEATS]
    figures_of = {"p50_ms": "ms a request by its rows, median", "p99_ms": "ms a request by its rows, 99th percentile"}
    for figure, title in figures_of.items():
        cells = {name: [f"{by_count[str(count)][figure]:.3f}" for count in REPEATS] for name, by_count in rows.items()}
        console.print(labelled_table(title, columns, cells))
    rates = {name: [f"{by_count[str(count)]['rows_per_s']:,.0f}" for count in REPEATS] for name, by_count in rows.items()}
    console.print(labelled_table("rows a second by the rows of a request", columns, rates))
    console.print(*NOTES, sep="\n", highlight=False)
    signatures = {"rank": "rank", "predict": f"predict, {CANDIDATES} rows"}
    ranked = {
        text: [f"{found[signature]['p50_ms']:.3f} / {found[signature]['p99_ms']:.3f}" for found in result["rank"].values()]
        for signature, text in signatures.items()
    }
    lengths = [history.removeprefix("history_") for history in result["rank"]]
    title = f"ms for a user's {CANDIDATES} candidates by the events of the history, median / 99th percentile"
    console.print(labelled_table(title, lengths, ranked))
    title = (
        f"ms for a user's {CANDIDATES} candidates with {CALLERS} callers at once on {CORES} cores, by the threads that share an operation, "
        "median / 99th percentile"
    )
    loaded = {
        text: [f"{figures['p50_ms']:.1f} / {figures['p99_ms']:.1f}" for figures in result["load"][name].values()]
        for name, text in {"rank": "ours, rank", "plain_keras": "plain Keras"}.items()
    }
    console.print(labelled_table(title, list(result["load"]["rank"]), loaded))
    console.print(labelled_table("", ["ratio of medians"], {name: [f"{ratio:.2f}"] for name, ratio in result["ratios"].items()}))
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    console.print(
        f"{result['threads']} thread a pool, one core; histories of {HISTORY} where no length is given; {versions}", highlight=False
    )


def main(as_json: bool) -> int:
    """Measures, then prints tables or JSON. Returns the exit status."""
    with output_to(Path(os.devnull)) as terminal:
        console = Console(file=terminal, quiet=as_json)
        result = measure(console)
        if as_json:
            say(json.dumps(result), terminal)
        else:
            print_tables(result, console)
    return 0
