"""Trials of settings: what is planned, and a table worked out by hand. tests/benchmarks/suite/test_suite_run.py tests how they are run."""

import numpy as np
import pytest

from benchmarks.quality.eval_judge import EvalSplit
from benchmarks.quality.setting_trials import main, plan_trials, table_lines, trial_name, variants
from benchmarks.suite.row_store import Row
from benchmarks.suite.suite_config import load_suite
from benchmarks.suite.train_missing import Finished
from components.base.errors import InputError


def test_settings_multiply():
    assert variants([]) == [()]
    assert variants(["a=1|2", "b=x|y"]) == [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]


@pytest.mark.parametrize("text", ["training.epochs", "=1", "training.epochs="])
def test_a_setting_needs_a_key_and_values(text):
    with pytest.raises(InputError, match=f"--vary {text}: give a key and its values"):
        variants([text])


def test_each_model_is_planned_with_each_setting_and_seed():
    suite = load_suite("default")
    suite = suite.model_copy(update={"data": suite.data[:1]})
    planned = plan_trials(suite, ["base", "din"], variants(["training.learning_rate=0.001|0.01"]), ["training.epochs=2"], [3, 4])
    assert list(planned) == ["movielens_small"]
    found = [(p.model, p.seed, p.config.model.kind, p.config.training.learning_rate) for p in planned["movielens_small"]]
    assert found == [
        (f"{kind}-training.learning_rate={rate}", seed, kind, rate) for kind in ("base", "din") for rate in (0.001, 0.01) for seed in (3, 4)
    ]
    assert {p.config.training.epochs for p in planned["movielens_small"]} == {2}


def test_a_trial_is_named_as_a_file_can_be():
    assert trial_name("din", ["model.hidden=[8, 4]", "model.dropout=0.1"]) == "din-model.hidden=_8_4_-model.dropout=0.1"


def test_the_best_one_on_validation_comes_first_and_differences_are_to_the_first_trial():
    judge = EvalSplit(np.array([0, 1, 0, 1]), None)

    def row(auc, validation, epoch):
        figures = {"auc": auc, "gauc": None, "log_loss": 0.5, "validation_aucs": [validation, 0.5], "best_epoch": epoch, "seconds": 3.0}
        return Row({**figures, "still_improving": epoch == 2}, np.array([0.1, 0.4, 0.3, 0.2]))

    rows = {"a": [row(0.7, 0.6, 1), row(0.74, 0.62, 1)], "b": [row(0.72, 0.7, 2), row(0.72, 0.7, 1)]}
    title, _, _, _, first, second, _ = table_lines("A data set", Finished(None, judge, rows))
    assert title == "### A data set"
    difference = "+0.0000"  # without an interval: with these logits too few draws of four impressions have both labels
    assert first == f"| b | 0.7000 ± 0.0000 | 0.5000 ± 0.0000 | 2*, 1 | 0.7200 ± 0.0000 | – | 0.5000 ± 0.0000 | {difference} | 3 s |"
    assert second == "| a | 0.6100 ± 0.0141 | 0.5000 ± 0.0000 | 1, 1 | 0.7200 ± 0.0283 | – | 0.5000 ± 0.0000 | – | 3 s |"


def test_a_data_set_that_the_suite_lacks_is_named():
    with pytest.raises(InputError, match="--data: the suite default has no 'criteo': choose from movielens_small, "):
        main(["--data", "criteo"])
