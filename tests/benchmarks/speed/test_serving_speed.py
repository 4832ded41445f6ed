"""`din bench serve`: its arithmetic, its requests, and that the plain Keras network is the same as ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from benchmarks.peers.workers import harness, our_exports, plain_keras_din
from benchmarks.speed import serving_speed as serve
from components.base.errors import InputError
from din_trainer.config import DINConfig
from din_trainer.features import FeatureConfig
from din_trainer.models.make_model import make_model
from tests.transforming import with_large_weights


def test_figures_are_each_the_best_of_the_rounds():
    slow_but_even = np.full(101, 0.003)
    quick_with_outliers = np.array([0.001] * 98 + [0.5] * 3)  # the 99th percentile of 101 is the hundredth: an outlier; mean 1.598 / 101
    found = serve.figures([slow_but_even, quick_with_outliers], rows=32)
    assert found == pytest.approx({"p50_ms": 1.0, "p99_ms": 3.0, "rows_per_s": 32 / 0.003})
    alone = serve.figures([quick_with_outliers], rows=32)
    assert alone == pytest.approx({"p50_ms": 1.0, "p99_ms": 500.0, "rows_per_s": 32 / (1.598 / 101)})


def test_each_case_is_warmed_up_once_and_timed_in_each_round(monkeypatch):
    monkeypatch.setattr(serve, "ROUNDS", 2)
    asked = []

    def timer(name, seconds):
        def time(repeat):
            asked.append((name, repeat))
            return np.full(repeat, seconds)

        return time

    cases = {("a", "1"): serve.Case(1, 3, timer("a", 0.5)), ("b", "8"): serve.Case(8, 4, timer("b", 0.25))}
    best = serve.alternate(cases, Console(quiet=True))
    assert asked == [("a", serve.WARM_UP), ("b", serve.WARM_UP), ("a", 3), ("b", 4), ("a", 3), ("b", 4)]
    assert best["b", "8"] == {"p50_ms": 250.0, "p99_ms": 250.0, "rows_per_s": 32.0}


def _found(p50):
    return {"p50_ms": p50, "p99_ms": 2 * p50, "rows_per_s": 1000 / p50}


@pytest.fixture
def result():
    p50 = {"serving_default": 6, "predict": 2, "python_serving_default": 12, "python_predict": 8, "transform_features": 1}
    ours = {name: {str(rows): _found(value * rows) for rows in serve.REPEATS} for name, value in p50.items()}
    p50 = {"plain_keras": 5, "deepctr": 4, "onnx_core": 3}
    peers = {name: {str(rows): _found(value * rows) for rows in serve.REPEATS} for name, value in p50.items()}
    rank = {
        "history_10": {"rank": _found(1), "serving_default": _found(10)},
        "history_50": {"rank": _found(3), "serving_default": _found(4)},
    }
    ratios = serve.ratios(ours, peers, rank)
    return {"ours": ours, "peers": peers, "rank": rank, "ratios": ratios, "threads": 1, "versions": {"onnxruntime": "1.2.3"}}


def test_ratios_by_hand(result):
    ratios = result["ratios"]
    assert (ratios["rank_500_history_10"], ratios["rank_500_history_50"]) == (0.1, 0.75)
    assert (ratios["predict_1_vs_keras"], ratios["predict_2048_vs_deepctr"]) == (0.4, 0.5)
    assert (ratios["serving_default_32_vs_transform_and_onnx"], ratios["predict_256_vs_python"]) == (1.5, 0.25)  # 6 / (1 + 3), 2 / 8


def test_tables_say_all_that_the_json_says(result):
    console = Console(record=True, width=120, file=open("/dev/null", "w"))
    serve.print_tables(result, console)
    text = console.export_text()
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert ["plain Keras", "5.000", "160.000", "1280.000", "10240.000"] in cells
    assert ["plain Keras", "200", "6", "1", "0"] in cells  # rows a second: the fixture's
    assert ["serving_default, 500 rows", "10.000 / 20.000", "4.000 / 8.000"] in cells
    assert ["predict_1_vs_keras", "0.40"] in cells
    assert "onnxruntime 1.2.3" in text and "1 thread" in text


def test_requests_are_the_same_impressions_for_all(monkeypatch):
    monkeypatch.setattr(serve, "IDS", {"user": 7, "item": 90, "category": 40})
    impressions = serve.make_impressions(5, history=3)
    requests = serve.make_requests(impressions, FeatureConfig(history_length=3))
    for number, row in enumerate(impressions):
        assert row["candidate_category_id"] == row["candidate_item_id"] % 40 and 0 <= row["user_id"] < 7
        assert [x % 40 for x in row["historical_item_ids"]] == row["historical_category_ids"] and len(row["historical_item_ids"]) == 3
        assert requests.raw["user_id"][number] == row["user_id"]
        assert requests.core["candidate_item_id"][number] == row["candidate_item_id"] + 2
        assert requests.deepctr["item"][number].tolist() == [row["candidate_item_id"] + 1]
        assert requests.deepctr["hist_category"][number].tolist() == [x + 1 for x in row["historical_category_ids"]]
    assert requests.examples["examples"].shape == (5,) and requests.deepctr["user"].dtype == np.int32


def test_an_export_that_fails_is_named_with_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(serve, "WORKERS", tmp_path)
    for script in ("our_exports.py", "plain_keras_din.py", "deepctr_export.py"):
        (tmp_path / script).write_text("import sys; sys.exit('out of luck' if 'deepctr' in sys.argv[0] else 0)")
    with pytest.raises(InputError, match="export of DeepCTR failed: out of luck"):
        serve.make_exports(tmp_path, Path(sys.executable))


def test_a_worker_times_its_calls(tmp_path):
    script = tmp_path / "calls.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(harness.__file__).parent)!r})\n"
        "import time\nfrom harness import serve_calls\n"
        "serve_calls(lambda: ('1.2', {'nap': lambda: time.sleep(0.01), 'chat': lambda: print('chatter')}))\n"
    )
    commands = "".join(json.dumps({"call": call, "repeat": 3}) + "\n" for call in ("nap", "chat"))
    process = subprocess.run([sys.executable, script], input=commands, capture_output=True, text=True)
    ready, naps, chats = map(json.loads, process.stdout.splitlines())
    assert ready == {"ready": True, "version": "1.2"}
    assert len(naps["seconds"]) == 3 and min(naps["seconds"]) >= 0.01
    assert len(chats["seconds"]) == 3 and process.stderr.splitlines() == ["chatter"] * 3


def test_impressions_show_every_id():
    sizes = {"user": 5, "item": 3, "category": 2}
    impressions = our_exports.impressions_of_all_ids(sizes)
    for name, feature in (("user", "user_id"), ("item", "candidate_item_id"), ("category", "candidate_category_id")):
        assert {row[feature] for row in impressions} == set(range(sizes[name]))


SIZES = {"user": 6, "item": 9, "category": 5}
HISTORY = 4


@pytest.fixture(scope="module")
def core():
    return plain_keras_din.make_core(SIZES, HISTORY)


@pytest.fixture
def ids():
    """Rows of the tables, histories of 4, 2 and no events."""
    rng = np.random.default_rng(1)
    events = np.arange(HISTORY) < np.array([[4], [2], [0]])
    return {
        "user_id": rng.integers(1, SIZES["user"], 3),
        "candidate_item_id": rng.integers(1, SIZES["item"], 3),
        "candidate_category_id": rng.integers(1, SIZES["category"], 3),
        "historical_item_ids": rng.integers(1, SIZES["item"], (3, HISTORY)) * events,
        "historical_category_ids": rng.integers(1, SIZES["category"], (3, HISTORY)) * events,
    }


def _copy_weights(ours, core):
    """Gives the plain network the weights of ours."""

    def dense(layer, kernel, bias):
        layer.set_weights([np.array(kernel), np.reshape(bias, layer.units)])

    def dice(layer, original):
        mean, variance = map(np.array, original.statistics())
        layer.alpha.assign(original.alpha)
        layer.normalise.moving_mean.assign(mean)
        layer.normalise.moving_variance.assign(variance)

    for vocabulary, table in (("user", "user_id"), ("item", "item"), ("category", "category")):
        core.get_layer(f"embedding_{vocabulary}").set_weights([np.array(ours.tables[table].embeddings)])
    unit, mlp = ours.attention["clicks"], ours.mlp
    dense(core.get_layer("attention_0"), unit.kernel, unit.bias)
    dense(core.get_layer("attention_1"), unit.dense[0].kernel, unit.dense[0].bias)
    dense(core.get_layer("attention_score"), unit.score.kernel, unit.score_bias)
    for number, layer in enumerate(mlp.dense):
        dense(core.get_layer(f"mlp_{number}"), layer.kernel, layer.bias)
    dense(core.get_layer("probability"), mlp.logit.kernel, mlp.logit_bias)
    plain = [layer for layer in core.layers if isinstance(layer, plain_keras_din.Dice)]
    for layer, original in zip(plain, [*unit.activations, *mlp.activations], strict=True):
        dice(layer, original)


def test_the_plain_keras_network_is_ours(core, ids):
    ours = with_large_weights(make_model(DINConfig(features=FeatureConfig(history_length=HISTORY)), {**SIZES, "user_id": SIZES["user"]}))
    _copy_weights(ours, core)
    expected = keras.ops.sigmoid(ours(ids)).numpy()
    assert len(set(expected.round(3))) == 3
    np.testing.assert_allclose(np.array(core(ids))[:, 0], expected, atol=1e-6)


def test_plain_keras_looks_raw_ids_up(core, ids):
    vocabularies = {"user": [30, 40, 50, 60], "item": list(range(100, 107)), "category": [7, 8, 9]}  # rows 0 and 1 are others
    rows = {"user_id": "user", "candidate_item_id": "item", "historical_item_ids": "item"}
    raw = {
        name: np.array([-1, 999, *vocabularies[rows.get(name, "category")]])[values]  # padding and an unknown id
        for name, values in ids.items()
    }
    np.testing.assert_allclose(plain_keras_din.make_model(core, vocabularies)(raw), core(ids), atol=1e-7)


def test_the_floor_of_rank_is_its_matrix_products_at_the_peak():
    # a candidate and event: 32 x 80 of the product block, 80 x 40, 40; a candidate: 80 x 128, 128 x 64, 64 x 32, 32
    by_hand = 2 * 500 * (10 * (2_560 + 3_200 + 40) + 10_240 + 8_192 + 2_048 + 32)
    assert serve.flops_of_rank(10) == by_hand == 78_512_000
    found = serve.rank_floors({"history_10": {"rank": _found(1), "serving_default": _found(4)}}, peak=by_hand * 1e3)
    assert found == pytest.approx({"rank_500_history_10_floor": 0.25})


def test_all_threads_of_a_process_are_kept_on_one_core():
    script = "import threading; threading.Thread(target=input).start(); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    serve.pin(process.pid)
    tasks = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
    assert len(tasks) == 2 and all(len(os.sched_getaffinity(task)) == 1 for task in tasks)
    process.communicate(b"\n\n")
