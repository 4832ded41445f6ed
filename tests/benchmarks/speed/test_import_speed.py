"""`din bench import`: its ratios, by hand, and its measurements on small data."""

import pytest

from benchmarks.speed import import_speed
from benchmarks.speed.import_speed import measure_by_hand, measure_import, ratios, write_sequences


def test_ratios_by_hand():
    """2 µs an impression, then 3 µs, beside 30 µs by hand; 200 MB, then 220 MB."""
    ours = [
        {"impressions": 1_000_000, "cpu_seconds": 2.0, "peak_mb": 200.0},
        {"impressions": 10_000_000, "cpu_seconds": 30.0, "peak_mb": 220.0},
    ]
    found = ratios(ours, {"impressions": 100_000, "cpu_seconds": 3.0})
    assert found == pytest.approx({"import_vs_writing_by_hand": 0.1, "growth": 1.5, "peak_growth": 1.1})


def test_both_ways_are_measured_on_the_same_impressions(tmp_path, monkeypatch):
    monkeypatch.setattr(import_speed, "BY_HAND", 50)
    write_sequences(tmp_path / "20.txt", 20)
    ours = measure_import(tmp_path / "20.txt", tmp_path / "data")
    by_hand = measure_by_hand(tmp_path / "data", tmp_path / "by-hand.gz")
    assert ours["rows"] > 100 and ours["impressions"] == 2 * (ours["rows"] - 20)  # each user's first click has no history
    assert by_hand["impressions"] == 50 and all(row["cpu_seconds"] > 0 for row in (ours, by_hand))
