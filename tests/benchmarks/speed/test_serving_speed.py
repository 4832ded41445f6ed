"""`din bench serve`: its figures, ratios and tables."""

import numpy as np
import pytest
from rich.console import Console

from benchmarks.speed import rounds, serving_speed


def test_figures_are_each_the_best_of_the_rounds():
    slow_but_even = np.full(101, 0.003)
    quick_with_outliers = np.array([0.001] * 98 + [0.5] * 3)  # the 99th percentile of 101 is the hundredth: an outlier; mean 1.598 / 101
    found = serving_speed.best_figures([slow_but_even, quick_with_outliers], rows=32)
    assert found == pytest.approx({"p50_ms": 1.0, "p99_ms": 3.0, "rows_per_s": 32 / 0.003})
    alone = serving_speed.best_figures([quick_with_outliers], rows=32)
    assert alone == pytest.approx({"p50_ms": 1.0, "p99_ms": 500.0, "rows_per_s": 32 / (1.598 / 101)})


def test_each_case_is_warmed_up_once_and_timed_in_each_round(monkeypatch):
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    asked = []

    def timer(name, seconds):
        def time(repeat):
            asked.append((name, repeat))
            return np.full(repeat, seconds)

        return time

    cases = {("a", "1"): serving_speed.Case(1, 3, timer("a", 0.5)), ("b", "8"): serving_speed.Case(8, 4, timer("b", 0.25))}
    best = serving_speed.time_cases(cases, Console(quiet=True))
    assert asked == [("a", serving_speed.WARM_UP), ("b", serving_speed.WARM_UP), ("a", 3), ("b", 4), ("a", 3), ("b", 4)]
    assert best["b", "8"] == {"p50_ms": 250.0, "p99_ms": 250.0, "rows_per_s": 32.0}


LOAD = {
    "rank": {"1": {"p50_ms": 30.0, "p99_ms": 40.0}, "2": {"p50_ms": 60.0, "p99_ms": 90.0}},
    "plain_keras": {"1": {"p50_ms": 70.0, "p99_ms": 160.0}, "2": {"p50_ms": 80.0, "p99_ms": 180.0}},
}


def _found(p50):
    return {"p50_ms": p50, "p99_ms": 2 * p50, "rows_per_s": 1000 / p50}


@pytest.fixture
def result():
    p50 = {"serving_default": 6, "predict": 2, "python_serving_default": 12, "python_predict": 8, "transform_features": 1}
    ours = {name: {str(rows): _found(value * rows) for rows in serving_speed.REPEATS} for name, value in p50.items()}
    p50 = {"plain_keras": 5, "deepctr": 4, "onnx_core": 3}
    peers = {name: {str(rows): _found(value * rows) for rows in serving_speed.REPEATS} for name, value in p50.items()}
    rank = {
        "history_10": {"rank": _found(1), "predict": _found(10)},
        "history_50": {"rank": _found(3), "predict": _found(4)},
    }
    ratios = serving_speed.ratios(ours, peers, rank) | serving_speed.load_ratios(LOAD)
    return {"ours": ours, "peers": peers, "rank": rank, "load": LOAD, "ratios": ratios, "threads": 1, "versions": {"onnxruntime": "1.2.3"}}


def test_ratios_by_hand(result):
    ratios = result["ratios"]
    assert (ratios["rank_500_history_10"], ratios["rank_500_history_50"]) == (0.1, 0.75)
    assert ratios["rank_500_p99_under_load_vs_keras"] == 0.25
    assert (ratios["predict_1_vs_keras"], ratios["predict_2048_vs_deepctr"]) == (0.4, 0.5)
    assert (ratios["serving_default_32_vs_transform_and_onnx"], ratios["predict_256_vs_python"]) == (1.5, 0.25)  # 6 / (1 + 3), 2 / 8


def test_tables_say_all_that_the_json_says(result):
    console = Console(record=True, width=120, file=open("/dev/null", "w"))
    serving_speed.print_tables(result, console)
    text = console.export_text()
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert ["plain Keras", "5.000", "160.000", "1280.000", "10240.000"] in cells
    assert ["plain Keras", "200", "6", "1", "0"] in cells  # rows a second: the fixture's
    assert ["predict, 500 rows", "10.000 / 20.000", "4.000 / 8.000"] in cells
    assert ["ours, rank", "30.0 / 40.0", "60.0 / 90.0"] in cells and ["plain Keras", "70.0 / 160.0", "80.0 / 180.0"] in cells
    assert ["predict_1_vs_keras", "0.40"] in cells
    assert "onnxruntime 1.2.3" in text and "1 thread" in text


def test_the_floor_of_rank_is_its_matrix_products_at_the_peak():
    """At this peak the products of 500 candidates with 10 events take 1 ms."""
    found = serving_speed.rank_floors({"history_10": {"rank": _found(2), "predict": _found(4)}}, peak=78_512_000 * 1e3)
    assert found == pytest.approx({"rank_500_history_10_floor": 0.25, "rank_500_history_10_vs_products": 2.0})
