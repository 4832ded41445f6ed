"""The sizes of large tables: what is measured, and what the tables of both commands say."""

from benchmarks.speed import split_table_size, table_size
from din_trainer.config import DINConfig


def test_the_users_have_a_table_of_exactly_these_rows():
    features = DINConfig.model_validate(table_size.settings(5_000, 4)).features
    assert (features.tables["user_id"].rows, features.tables["user_id"].dim) == (5_000, 4)
    ((batch, label),) = table_size.batches(5_000, 1, size=8).as_numpy_iterator()
    assert batch["user_id"].shape == label.shape == (8,) and batch["historical_item_ids"].shape == (8, 10)
    assert (batch["user_id"] > 0).all() and (batch["user_id"] < 5_000).all()


def test_memory_is_shown_by_number_of_the_table(capsys):
    """1,000 rows of 4 are 4,000 numbers: 52,000 bytes are 13 bytes a number."""
    stages = [table_size.Stage("checkpoint", 1.25, 52_000, 84_000)]
    figures = {"step": 0.011, "small_step": 0.008, "checkpoint": 48_000, "best": 48_000, "keras": 16_000, "export": 16_000}
    table_size._show(1_000, 4, stages, figures)
    printed = capsys.readouterr().out
    assert printed.splitlines()[2].split() == ["checkpoint", "1.2", "0.00", "0.00", "13.0", "21.0"]
    assert "A step of 256 impressions took 11.00 ms of CPU time, with a table of 100,000 rows 8.00 ms." in printed
    assert "a checkpoint 12.0, the best weights 12.0, din.keras 4.0, the export 4.0." in printed


def test_the_memory_of_each_worker_is_shown(capsys):
    one = {"part": 26_000, "steps": 26_400, "checkpoint": 28_000, "best": 36_000, "whole": 40_000, "keras": 44_000, "step": 0.012}
    split_table_size._show(1_000, 4, [one, {**one, "whole": 28_000}])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0] == ["its", "part", "0.00", "(6.5)", "0.00", "(6.5)"]
    assert rows[4] == ["put", "together", "0.00", "(10.0)", "0.00", "(7.0)"]
    assert rows[-1] == ["CPU", "ms", "a", "step", "12.0", "12.0"]
