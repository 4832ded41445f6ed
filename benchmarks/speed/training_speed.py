"""`din bench train`: compares the speed of training and inference with the peers'.

Every implementation runs in a process of its own, on the same arrays.

* The sizes of the notebook: 1,000 users, 500 items, histories of 1 to 10 events, embeddings of 16, an attention unit of (80, 40), an MLP of
  (128, 64, 32), Dice, Adam.
* 10⁶ users and 10⁶ items compared with 10³ and 10³: our rate, and that of the Keras peer with the large vocabularies.
* Histories of 1 to 100 events compared with those of 1 to 10: the growth of our step time and that of the number of events.
* The rate of a training step's matrix products compared with the peak of the machine.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from benchmarks.peers import peer_environment
from benchmarks.peers.worker_process import WORKERS, Worker
from benchmarks.speed.matrix_products import peak_flops, training_flops
from benchmarks.speed.rounds import RatioOfRounds, measure_in_rounds, ratio_of_rounds
from benchmarks.speed.speed_tables import labelled_table
from pipeline.console import Console
from pipeline.terminal import say

OURS, OURS_TFRECORDS, KERAS_PEER = "ours", "ours, from TFRecords", "DeepCTR"
PEERS = {
    KERAS_PEER: "deepctr_din.py",
    "DeepCTR-Torch": "deepctr_torch_din.py",
    "torch-rechub": "torch_rechub_din.py",
    "FuxiCTR": "fuxictr_din.py",
}
ROWS, HELD_OUT = 50_000, 0.2
CLUSTERS, BIAS, INTEREST = 5, -1.5, 1.2  # the logit of a click is BIAS + INTEREST · 10 · the share of events in the candidate's cluster

NOTEBOOK = {"users": 1_000, "items": 500, "history": 10}
SMALL_VOCABULARY = {"users": 1_000, "items": 1_000, "history": 10}
LARGE_VOCABULARY = {"users": 1_000_000, "items": 1_000_000, "history": 10}
LONG_HISTORY = {"users": 1_000, "items": 500, "history": 100}

SMALL, LARGE, KERAS_LARGE = "ours, 10³ ids", "ours, 10⁶ ids", f"{KERAS_PEER}, 10⁶ ids"  # labels in the tables
SHORT, LONG = "ours, 1-10 events", "ours, 1-100 events"

Rates = dict[str, dict[str, list[float]]]  # rows a second in each round, by worker and measurement


class Measurement(NamedTuple):
    """What a worker does in a round: `do` is `train` or `infer`, in batches of `batch`, on `rows` impressions."""

    do: str
    batch: int
    rows: int

    @property
    def name(self) -> str:
        return f"{self.do}_{self.batch}"


TRAIN_256, TRAIN_1024, INFER_1024 = (
    Measurement("train", 256, 100_000),
    Measurement("train", 1024, 100_000),
    Measurement("infer", 1024, 200_000),
)
FEWER = [measurement._replace(rows=40_000) for measurement in (TRAIN_256, TRAIN_1024)]  # for the Keras peer, which is slow with 10⁶ ids


def make_data(users: int, items: int, history: int, file: Path) -> dict[str, np.ndarray]:
    """Writes impressions that a model can learn, in the form that `benchmarks.peers.workers.harness` reads. Returns the arrays.

    Args:
        users: The number of users.
        items: The number of items.
        history: The largest number of events of a history.
        file: The .npz file.
    """
    rng = np.random.default_rng(0)
    length = rng.integers(1, history + 1, ROWS)
    events = rng.integers(1, items + 1, (ROWS, history)) * (np.arange(history) < length[:, None])
    candidate = rng.integers(1, items + 1, ROWS)
    relevant = ((events % CLUSTERS == (candidate % CLUSTERS)[:, None]) & (events > 0)).mean(axis=1) * 10
    label = rng.random(ROWS) < 1 / (1 + np.exp(-(BIAS + INTEREST * relevant)))
    arrays = {
        "user_id": rng.integers(1, users + 1, ROWS),
        "candidate_item_id": candidate,
        "historical_item_ids": events,
        "history_length": length,
        "label": label.astype(np.int64),
    }
    np.savez(file, **arrays, n_users=users, n_items=items, n_train=round(ROWS * (1 - HELD_OUT)))
    return arrays


def _command(name: str, peers_python: Path, data: Path) -> list[str]:
    if name in PEERS:
        return [str(peers_python), str(WORKERS / PEERS[name]), str(data)]
    options = ["--tfrecords"] if name == OURS_TFRECORDS else []
    return [sys.executable, str(WORKERS / "ours_din.py"), str(data), *options]


def measure_rates(workers: dict[str, Worker], measurements: list[Measurement], console: Console) -> Rates:
    """Returns the rows a second of each round, by worker and measurement."""
    calls = {(name, m.name): partial(worker.ask, **m._asdict()) for m in measurements for name, worker in workers.items()}
    rounds = measure_in_rounds(calls, console)
    return {name: {m.name: [answer["rows_per_s"] for answer in rounds[name, m.name]] for m in measurements} for name in workers}


def best(rates: Rates) -> dict[str, dict[str, float]]:
    """Returns the best rate over the rounds, by worker and measurement."""
    return {name: {measurement: max(rounds) for measurement, rounds in row.items()} for name, row in rates.items()}


class TrainingBenchmark:
    """Measures one group of workers after the other.

    Args:
        folder: Where the data is written.
        peers_python: The Python of the peers' environment.
        console: Where the progress is printed.
    """

    def __init__(self, folder: Path, peers_python: Path, console: Console):
        self._folder, self._python, self._console = folder, peers_python, console

    @contextlib.contextmanager
    def _workers(self, names: dict[str, str], shapes: dict[str, dict[str, int]]) -> Iterator[dict[str, Worker]]:
        """Starts workers, and ends them at the end of the context.

        Args:
            names: The implementation by label.
            shapes: The sizes of the data by label.
        """
        with contextlib.ExitStack() as started:
            workers: dict[str, Worker] = {}
            for label, name in names.items():
                file = self._folder / f"{'-'.join(map(str, shapes[label].values()))}.npz"
                if not file.exists():
                    make_data(**shapes[label], file=file)
                worker = Worker(label, _command(name, self._python, file))
                workers[label] = started.enter_context(contextlib.closing(worker))
            yield workers

    def notebook(self) -> dict[str, Any]:
        """Measures ours and the peers with the sizes of the notebook.

        Returns:
            `rates`. `rows`: for each implementation its best rates, `auc` and `version`. `profile`: the shares of our step's time by op.
        """
        self._console.print("notebook shapes", highlight=False)
        names = {name: name for name in (OURS, OURS_TFRECORDS, *PEERS)}
        with self._workers(names, dict.fromkeys(names, NOTEBOOK)) as workers:
            self._console.print(f"ours: din-tfx {workers[OURS].version}", highlight=False)
            rates = measure_rates(workers, [TRAIN_256, TRAIN_1024, INFER_1024], self._console)
            rows = {
                name: {**row, "auc": workers[name].ask(do="auc")["auc"], "version": workers[name].version}
                for name, row in best(rates).items()
            }
            return {"rates": rates, "rows": rows, "profile": workers[OURS].ask(do="profile", batch=1024)["shares"]}

    def training(self, title: str, names: dict[str, str], shapes: dict[str, dict[str, int]]) -> Rates:
        """Measures the training of several implementations on data of several sizes.

        Args:
            title: What is printed as progress.
            names: The implementation by label.
            shapes: The sizes of the data by label.

        Returns:
            The rows a second of each round, by label and measurement.
        """
        self._console.print(title, highlight=False)
        with self._workers(names, shapes) as workers:
            return measure_rates(workers, FEWER, self._console)


def measure(console: Console) -> dict[str, Any]:
    """Makes all measurements. Returns what `--json` prints."""
    console.print("the peers' environment (made once, 1 to 3 minutes)", highlight=False)
    python = peer_environment.prepare(peer_environment.cache_folder())
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        benchmark = TrainingBenchmark(Path(folder), python, console)
        peak = peak_flops()
        notebook = benchmark.notebook()
        shapes = {SMALL: SMALL_VOCABULARY, LARGE: LARGE_VOCABULARY, KERAS_LARGE: LARGE_VOCABULARY}
        vocabulary = benchmark.training("vocabulary", {SMALL: OURS, LARGE: OURS, KERAS_LARGE: KERAS_PEER}, shapes)
        history = benchmark.training("history", {SHORT: OURS, LONG: OURS}, {SHORT: NOTEBOOK, LONG: LONG_HISTORY})
    rows = notebook["rows"]
    flops = training_flops(_mean_events(NOTEBOOK))
    return {
        "ours": rows[OURS],
        "ours_from_tfrecords": rows[OURS_TFRECORDS],
        "peers": {peer: rows[peer] for peer in PEERS},
        "vocabulary": best(vocabulary),
        "history": best(history),
        "ratios": {name: ratio._asdict() for name, ratio in ratios(notebook["rates"], vocabulary, history).items()},
        "events_100_vs_10": _mean_events(LONG_HISTORY) / _mean_events(NOTEBOOK),
        "peak_gflops": peak / 1e9,
        "share_of_peak": {name: rows[OURS][name] * flops / peak for name in ("train_256", "train_1024")},
        "profile_1024": notebook["profile"],
    }


def ratios(notebook: Rates, vocabulary: Rates, history: Rates) -> dict[str, RatioOfRounds]:
    """Returns our rates divided by those of the fastest peer, by those with fewer ids, and how our step time grows with the history."""
    result = {}
    for ours, prefix in ((OURS, ""), (OURS_TFRECORDS, "tfrecords_")):
        for name in ("train_256", "train_1024", *(["infer_1024"] if ours == OURS else [])):
            fastest = max(PEERS, key=lambda peer: max(notebook[peer][name]))
            result[prefix + name] = ratio_of_rounds(notebook[ours][name], notebook[fastest][name])
    for name in ("train_256", "train_1024"):
        result[f"{name}_1e6_ids_vs_1e3"] = ratio_of_rounds(vocabulary[LARGE][name], vocabulary[SMALL][name])
    result["train_256_1e6_ids_vs_keras_peer"] = ratio_of_rounds(vocabulary[LARGE]["train_256"], vocabulary[KERAS_LARGE]["train_256"])
    result["step_time_100_events_vs_10"] = ratio_of_rounds(history[SHORT]["train_1024"], history[LONG]["train_1024"])
    return result


def _mean_events(shape: dict[str, int]) -> float:
    """Returns the mean length of histories of 1 to `shape["history"]` events."""
    return (1 + shape["history"]) / 2


def _cells(rates: dict[str, dict[str, Any]], columns: list[str]) -> dict[str, list[str]]:
    return {name: [f"{row[column]:.3f}" if column == "auc" else f"{row[column]:,.0f}" for column in columns] for name, row in rates.items()}


def print_tables(result: dict[str, Any], console: Console) -> None:
    """Prints the measurements as tables."""
    training = {"train_256": "train, batch 256", "train_1024": "train, batch 1,024"}
    rows = {OURS: result["ours"], OURS_TFRECORDS: result["ours_from_tfrecords"], **result["peers"]}
    everything = {**training, "infer_1024": "inference, batch 1,024", "auc": "AUC, held out"}
    for title, columns, rates in (
        ("rows a second, notebook shapes", everything, rows),
        ("vocabulary of users and of items", training, result["vocabulary"]),
        ("length of the histories", training, result["history"]),
    ):
        console.print(labelled_table(title, list(columns.values()), _cells(rates, list(columns))))
    ratio_table = Table("ratio", "median", "95 % interval", title="ratios of the rounds")
    for name, ratio in result["ratios"].items():
        ratio_table.add_row(name, f"{ratio['median']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}")
    console.print(ratio_table)
    console.print(f"events of 1 to 100, compared with those of 1 to 10: {result['events_100_vs_10']:.2f} times as many", highlight=False)
    shares = ", ".join(f"{name.removeprefix('train_')}: {share:.1%}" for name, share in result["share_of_peak"].items())
    console.print(f"matrix products, share of the peak ({result['peak_gflops']:,.0f} GFLOP/s) by batch size: {shares}", highlight=False)
    profile = ", ".join(f"{kind} {share:.0%}" for kind, share in result["profile_1024"].items())
    console.print(f"time of ops at batch 1,024: {profile}", highlight=False)


def main(as_json: bool) -> int:
    """Measures, then prints tables or JSON. Returns the exit status."""
    console = Console(quiet=as_json)
    result = measure(console)
    if as_json:
        say(json.dumps(result))
    else:
        print_tables(result, console)
    return 0
