"""The tables of drift and skew in the data section."""

from pipeline.report.sections.drift_section import drift_tables


def figure(kind="drift", feature="age", measure="infinity_norm", value=0.1, bound=None, passed=None, **more):
    row = {"kind": kind, "feature": feature, "measure": measure, "value": value, "bound": bound, "passed": passed, "action": None}
    return {**row, "of": "train/", "against": "train/ of run a" if kind == "drift" else "the requests in log", **more}


def test_what_does_not_hold_comes_first_then_the_largest_distance():
    tables = drift_tables([
        figure(feature="small", value=0.1), figure(feature="large", value=0.4),
        figure(feature="gone", measure="presence", value=1.0, bound=0.01, passed=True),
        figure(feature="bad", value=0.2, bound=0.1, passed=False), figure("skew", value=None, bound=0.1),
    ])  # fmt: skip
    assert [table["title"] for table in tables] == ["Drift: train/ against train/ of run a", "Skew: train/ against the requests in log"]
    assert [(row["feature"], row["bound_text"], row["holds"]) for row in tables[0]["rows"]] == [
        ("bad", "at most 0.1", "NO"), ("large", "", ""), ("small", "", ""), ("gone", "at least 0.01", "yes"),
    ]  # fmt: skip
    assert [(row["measure"], row["holds"]) for row in tables[1]["rows"]] == [("L-infinity distance", "not measured")]


def test_there_are_no_tables_without_figures():
    """Runs of earlier releases recorded something else."""
    assert drift_tables([]) == drift_tables(None) == drift_tables({"against": "a", "distances": []}) == []
