"""Training and inference speed beside the peers: `din bench train`.

Every implementation runs in a process of its own on the same arrays; in each round all of them are measured one after the other. Figures
are the best over the rounds: what else runs on a shared machine only ever slows a round down.

* Notebook shapes: 1,000 users, 500 items, histories of 1 to 10 events, embeddings of 16, an attention unit of (80, 40), an MLP of
  (128, 64, 32), Dice, Adam.
* A vocabulary of 10⁶ users and 10⁶ items beside one of 10³ and 10³: our step time, and the Keras peer's on the large one.
* Histories of 1 to 100 events beside those of 1 to 10: time beside real events.
* The matrix products of a training step beside the machine's peak.
"""

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.peers import peer_environment
from components.base.errors import InputError

OURS, OURS_TFRECORDS, KERAS_PEER = "ours", "ours, from TFRecords", "DeepCTR"
WORKERS = Path(__file__).parents[1] / "peers" / "workers"
PEERS = {KERAS_PEER: "deepctr_din.py", "DeepCTR-Torch": "deepctr_torch_din.py", "torch-rechub": "torch_rechub_din.py"}
ROWS, HELD_OUT = 50_000, 0.2
DIM, ATTENTION, MLP = 16, (80, 40), (128, 64, 32)
ROUNDS = 7
CLUSTERS, BIAS, INTEREST = 5, -1.5, 1.2  # a click's logit is BIAS + INTEREST · the events of the candidate's cluster

NOTEBOOK = {"users": 1_000, "items": 500, "history": 10}
SMALL_VOCABULARY = {"users": 1_000, "items": 1_000, "history": 10}
LARGE_VOCABULARY = {"users": 1_000_000, "items": 1_000_000, "history": 10}
LONG_HISTORY = {"users": 1_000, "items": 500, "history": 100}


class Measurement(NamedTuple):
    """What is asked of a worker in a round."""

    do: str
    batch: int
    rows: int

    @property
    def name(self) -> str:
        return f"{self.do}_{self.batch}"


TRAIN_256, TRAIN_1024, INFER_1024 = (
    Measurement("train", 256, 40_000),
    Measurement("train", 1024, 40_000),
    Measurement("infer", 1024, 200_000),
)


def make_data(users: int, items: int, history: int, file: Path) -> dict[str, np.ndarray]:
    """Writes impressions that can be learnt, as `benchmarks.peers.workers.harness` reads them."""
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


class Worker:
    """An implementation in a process of its own."""

    def __init__(self, name: str, command: list[str]):
        self._name = name
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        self.pid = self._process.pid
        self.version = self._read()["version"]

    def ask(self, **command: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer.

        Raises:
            InputError: The process has ended; the message holds its last words.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, as the missing answer says
            print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise InputError(f"{self._name} ended: {self._errors.read().strip()[-2000:]}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process: by the end of its input, so that it can clear up, or by force if that takes too long."""
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()


def _command(name: str, peers_python: Path, data: Path) -> list[str]:
    if name in PEERS:
        return [str(peers_python), str(WORKERS / PEERS[name]), str(data)]
    options = ["--tfrecords"] if name == OURS_TFRECORDS else []
    return [sys.executable, str(WORKERS / "ours_din.py"), str(data), *options]


def alternate(workers: dict[str, Worker], measurements: list[Measurement], console: Console) -> dict[str, dict[str, float]]:
    """The best of the rounds, in rows a second, by worker and measurement."""
    rates: dict[str, dict[str, list[float]]] = {name: {m.name: [] for m in measurements} for name in workers}
    for number in range(ROUNDS):
        for measurement in measurements:
            for name, worker in workers.items():
                rates[name][measurement.name].append(worker.ask(**measurement._asdict())["rows_per_s"])
        console.print(f"  round {number + 1} of {ROUNDS}", highlight=False)
    return {name: {m: max(values) for m, values in by_name.items()} for name, by_name in rates.items()}


def peak_flops() -> float:
    """Floating-point operations a second of the best of some large single-precision matrix products, on all cores."""
    size = 2048
    matrix = np.random.default_rng(0).random((size, size), np.float32)
    best = min(_seconds(lambda: matrix @ matrix) for _ in range(8))
    return 2 * size**3 / best


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def flops_of_products(events: float) -> float:
    """Floating-point operations of the matrix products in a training step, for one impression with so many events.

    Two a multiply-add; once forward, twice backward. The attention unit's first layer is the split one: D once an impression, 2 D an event.
    """
    attention = events * (2 * DIM * ATTENTION[0] + ATTENTION[0] * ATTENTION[1] + ATTENTION[1]) + DIM * ATTENTION[0]
    widths = (3 * DIM, *MLP, 1)  # user, candidate and interest come in
    mlp = sum(a * b for a, b in itertools.pairwise(widths))
    return 2 * 3 * (attention + mlp)


class Bench:
    """The measurements, one group of workers after the other."""

    def __init__(self, folder: Path, peers_python: Path, console: Console):
        self._folder, self._python, self._console = folder, peers_python, console

    def _start(self, names: dict[str, str], shapes: dict[str, dict[str, int]]) -> dict[str, Worker]:
        """Workers by label: `names` tells the implementation of each, `shapes` its data."""
        workers: dict[str, Worker] = {}
        for label, name in names.items():
            file = self._folder / f"{'-'.join(map(str, shapes[label].values()))}.npz"
            if not file.exists():
                make_data(**shapes[label], file=file)
            workers[label] = Worker(label, _command(name, self._python, file))
        return workers

    def notebook(self) -> dict[str, Any]:
        """Ours and the peers at the notebook's shapes."""
        self._console.print("notebook shapes", highlight=False)
        names = {name: name for name in (OURS, OURS_TFRECORDS, *PEERS)}
        workers = self._start(names, dict.fromkeys(names, NOTEBOOK))
        try:
            rates = alternate(workers, [TRAIN_256, TRAIN_1024, INFER_1024], self._console)
            result = {
                name: {**rates[name], "auc": worker.ask(do="auc")["auc"], "version": worker.version} for name, worker in workers.items()
            }
            return {"rows": result, "profile": workers[OURS].ask(do="profile", batch=1024)["shares"]}
        finally:
            for worker in workers.values():
                worker.close()

    def pairs(self, title: str, names: dict[str, str], shapes: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
        """Training alone, on several data sets."""
        self._console.print(title, highlight=False)
        workers = self._start(names, shapes)
        try:
            return alternate(workers, [TRAIN_256, TRAIN_1024], self._console)
        finally:
            for worker in workers.values():
                worker.close()


def measure(console: Console) -> dict[str, Any]:
    """All groups; the result is what `--json` prints."""
    console.print("the peers' environment (made once, 1 to 3 minutes)", highlight=False)
    python = peer_environment.prepare(peer_environment.cache_folder())
    with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
        bench = Bench(Path(folder), python, console)
        peak = peak_flops()
        notebook = bench.notebook()
        small, large, keras_large = "ours, 10³ ids", "ours, 10⁶ ids", f"{KERAS_PEER}, 10⁶ ids"
        shapes = {small: SMALL_VOCABULARY, large: LARGE_VOCABULARY, keras_large: LARGE_VOCABULARY}
        vocabulary = bench.pairs("vocabulary", {small: OURS, large: OURS, keras_large: KERAS_PEER}, shapes)
        short, long = "ours, 1-10 events", "ours, 1-100 events"
        history = bench.pairs("history", {short: OURS, long: OURS}, {short: NOTEBOOK, long: LONG_HISTORY})
    rows = notebook["rows"]
    fastest = {name: max(rows[peer][name] for peer in PEERS) for name in ("train_256", "train_1024", "infer_1024")}
    events = {shape["history"]: (1 + shape["history"]) / 2 for shape in (NOTEBOOK, LONG_HISTORY)}
    return {
        "ours": rows[OURS],
        "ours_from_tfrecords": rows[OURS_TFRECORDS],
        "peers": {peer: rows[peer] for peer in PEERS},
        "vocabulary": vocabulary,
        "history": history,
        "ratios": {
            **{name: rows[OURS][name] / rate for name, rate in fastest.items()},
            **{f"tfrecords_{name}": rows[OURS_TFRECORDS][name] / fastest[name] for name in ("train_256", "train_1024")},
            "vocab_1e6_vs_1e3": vocabulary[small]["train_256"] / vocabulary[large]["train_256"],  # of step times
            "vocab_1e6_vs_1e3_at_1024": vocabulary[small]["train_1024"] / vocabulary[large]["train_1024"],
            "vocab_1e6_vs_keras_peer": vocabulary[large]["train_256"] / vocabulary[keras_large]["train_256"],
            "history_100_vs_10": history[short]["train_1024"] / history[long]["train_1024"],  # of step times
            "events_100_vs_10": events[100] / events[10],
        },
        "peak_gflops": peak / 1e9,
        "share_of_peak": {name: rows[OURS][name] * flops_of_products(events[10]) / peak for name in ("train_256", "train_1024")},
        "profile_1024": notebook["profile"],
    }


def _rates_table(title: str, rates: dict[str, dict[str, Any]], columns: dict[str, str]) -> Table:
    table = Table("", *(f"{text}" for text in columns.values()), title=title, title_justify="left")
    for name, row in rates.items():
        table.add_row(name, *(f"{row[column]:.3f}" if column == "auc" else f"{row[column]:,.0f}" for column in columns))
    return table


def print_tables(result: dict[str, Any], console: Console) -> None:
    """The same for people."""
    training = {"train_256": "train, batch 256", "train_1024": "train, batch 1,024"}
    rows = {OURS: result["ours"], OURS_TFRECORDS: result["ours_from_tfrecords"], **result["peers"]}
    everything = {**training, "infer_1024": "inference, batch 1,024", "auc": "AUC, held out"}
    console.print(_rates_table("rows a second, notebook shapes", rows, everything))
    console.print(_rates_table("vocabulary of users and of items", result["vocabulary"], training))
    console.print(_rates_table("length of the histories", result["history"], training))
    ratios = Table("ratio", "", title_justify="left")
    for name, ratio in result["ratios"].items():
        ratios.add_row(name, f"{ratio:.2f}")
    console.print(ratios)
    shares = ", ".join(f"{name.removeprefix('train_')}: {share:.1%}" for name, share in result["share_of_peak"].items())
    console.print(f"matrix products, share of the peak ({result['peak_gflops']:,.0f} GFLOP/s) by batch size: {shares}", highlight=False)
    profile = ", ".join(f"{kind} {share:.0%}" for kind, share in result["profile_1024"].items())
    console.print(f"time of ops at batch 1,024: {profile}", highlight=False)


def main(as_json: bool) -> int:
    """Measures, then prints tables or JSON."""
    console = Console(quiet=as_json)
    result = measure(console)
    if as_json:
        print(json.dumps(result))
    else:
        print_tables(result, console)
    return 0
