"""`din bench features`: its figures its table, and what it asks of `rank`."""

import json
import os
import time

import pytest
from rich.console import Console

from benchmarks.exports.ten_features import WITH_TEN
from benchmarks.speed import features_cost


@pytest.fixture
def result():
    rounds = {(work, which): [0.5, 0.5, 0.5] for work in features_cost.WORK for which in features_cost.FEATURES}
    rounds["train_256", "plain"], rounds["train_256", "with_ten"] = [0.002, 0.004, 0.001], [0.003, 0.008, 0.0012]
    rounds["read", "plain"], rounds["read", "with_ten"] = [4e-6, 4e-6, 4e-6], [8e-6, 1e-5, 9e-6]
    return features_cost.summary(rounds)


def test_ratios_are_those_of_each_round_with_their_median_and_range(result):
    assert result["ours"]["plain"]["train_256"] == 0.002 and result["ours"]["with_ten"]["train_256"] == 0.003
    assert result["ratios"] == pytest.approx({"train_256": 1.5, "train_1024": 1, "rank_500": 1, "read": 2.25})  # of 1.5, 2, 1.2
    assert result["ranges"]["train_256"] == pytest.approx([1.2, 2])
    assert result["ranges"]["read"] == pytest.approx([2, 2.5])
    assert json.loads(json.dumps(result)) == result


def test_the_table_says_all_that_the_json_says(result):
    console = Console(record=True, width=150, file=open(os.devnull, "w"))
    console.print(features_cost.table(result))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines() if line.startswith("│")]
    assert rows == [
        ["a training step of 256, ms", "2.00", "3.00", "1.50", "1.20 to 2.00", "1.6"],
        ["a training step of 1,024, ms", "500.00", "500.00", "1.00", "1.00 to 1.00", "1.6"],
        ["rank of 500 candidates, ms", "500.00", "500.00", "1.00", "1.00 to 1.00", "1.8"],
        ["reading an impression for training, µs", "4.00", "9.00", "2.25", "2.00 to 2.50", ""],
    ]


def test_the_clock_of_a_process_is_its_cpu_time():
    before = time.process_time()
    found = features_cost.process_seconds(os.getpid())
    assert before <= found <= time.process_time()


class FakeModel:
    """A loaded model that keeps the requests that it gets."""

    pid = os.getpid()

    def __init__(self):
        self.asked = []

    def time(self, signature, inputs, repeat):
        self.asked.append((signature, {name: values.shape for name, values in inputs.items()}, repeat))


def test_rank_gets_one_user_whose_candidates_have_half_of_the_features(monkeypatch):
    monkeypatch.setattr(features_cost, "CANDIDATES", 3)
    model = FakeModel()
    assert features_cost._ranking(model, WITH_TEN, requests=7)() >= 0
    ((signature, shapes, repeat),) = model.asked
    assert (signature, repeat) == ("rank", 7)
    assert {name: shape for name, shape in shapes.items() if shape[1:2] == (3,)} == {
        **dict.fromkeys(("candidate_item_id", "candidate_category_id", "brand", "shop", "price"), (1, 3)), "words": (1, 3, 5),
    }  # fmt: skip
    assert {name: shape for name, shape in shapes.items() if shape[1:2] != (3,)} == {
        **dict.fromkeys(("user_id", "city", "device", "hour"), (1,)), "interests": (1, 5), "face": (1, 64),
        "historical_item_ids": (1, 10), "historical_category_ids": (1, 10),
    }  # fmt: skip
