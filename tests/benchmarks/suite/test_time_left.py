"""The estimate of the time that the rest of a suite takes."""

from benchmarks.suite.suite_config import Planned
from benchmarks.suite.time_left import TimeLeft
from pipeline.configuration.load_config import load_config


def planned(data, model):
    return Planned(data, model, 0, load_config("movielens"))


def test_the_time_left_is_that_of_the_rows_most_alike():
    a, b, c = planned("x", "lr"), planned("x", "din"), planned("y", "din")
    left = TimeLeft([a, b, c], [])
    assert str(left) == "3 left"
    left.finish(a, 100.0)
    assert str(left) == "2 left, about 3 min"  # 100 s each
    left = TimeLeft([b, c], [("x", "din", 60.0), ("x", "lr", 10.0), ("y", "lr", 20.0)])
    assert str(left) == "2 left, about 80 s"
    left.finish(b, 1.0)
    left.finish(c, 1.0)
    assert str(left) == "none left"
