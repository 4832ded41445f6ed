"""Distances of small distributions, worked out by hand or with NumPy, the bounds on them, and features that collapse to missing."""

import json

import numpy as np
import pytest
from google.protobuf import text_format
from tfx.types import standard_artifacts

from components.artifact_types import DriftFigures
from components.drift.drift_figures import describe_figure, read_figures, refusals, warnings
from components.drift_validator import Data, DriftValidator, Presence, Rule, compare
from tests.components.statistics import make_schema, make_statistics, write_statistics

USUAL = Presence(0.1, 0.01, "refuse")
SCHEMA = make_schema(genre="bytes", user_id="id", price="float", label="int", timestamp="int")
BEFORE = {
    "genre": [b"jazz"] * 60 + [b"pop"] * 40,
    "user_id": [1, 2] * 50,
    "price": [0.0] * 50 + [1.0] * 50,
    "label": [0, 1] * 50,
    "timestamp": list(range(100)),
}
NOW = {
    "genre": [b"jazz"] * 25 + [b"pop"] * 75,
    "user_id": [1] * 80 + [2] * 20,
    "price": [0.0] * 80 + [1.0] * 20,
    "label": [0, 1] * 50,
    "timestamp": list(range(1000, 1100)),
}


def figures(now=NOW, before=BEFORE, rules=(), schema=SCHEMA, presence=USUAL, read=(), requests=None):
    others = {"drift": Data("train/ of run a", make_statistics(schema, **before))} if before else {}
    if requests:
        others["skew"] = Data("the requests in log", make_statistics(schema, **requests))
    return compare(Data("train/", make_statistics(schema, **now)), others, schema, list(rules), presence, set(read))


def one(found, feature, measure=None, kind="drift"):
    (row,) = [row for row in found if (row["kind"], row["feature"]) == (kind, feature) and measure in (None, row["measure"])]
    return row


def divergence(p, q):
    """Jensen-Shannon divergence in bits, in NumPy."""
    p, q = np.array(p), np.array(q)
    middle = (p + q) / 2
    return (p * np.log2(p / middle)).sum() / 2 + (q * np.log2(q / middle)).sum() / 2


def test_distances_by_kind_of_feature():
    """Genres went from 60 : 40 to 25 : 75, users from 50 : 50 to 80 : 20, prices likewise."""
    found = figures()
    assert one(found, "genre", "infinity_norm")["value"] == pytest.approx(0.35)
    assert one(found, "user_id", "infinity_norm")["value"] == pytest.approx(0.30)
    expected = divergence([0.5, 0.5], [0.8, 0.2])
    assert one(found, "price", "jensen_shannon_divergence")["value"] == pytest.approx(expected, abs=2e-3)  # TFDV compares histograms
    assert one(found, "label", "jensen_shannon_divergence")["value"] == pytest.approx(0, abs=1e-9)
    assert not [row for row in found if row["feature"] == "timestamp" and row["measure"] != "presence"]
    assert {row["passed"] for row in found if row["measure"] != "presence"} == {None}
    assert refusals(found) == warnings(found) == []


def test_the_divergence_of_categories():
    rule = Rule("drift", "genre", "jensen_shannon_divergence", 0.05, "refuse")
    row = one(figures(rules=[rule]), "genre", "jensen_shannon_divergence")
    assert row["value"] == pytest.approx(divergence([0.6, 0.4], [0.25, 0.75]), abs=1e-6)
    assert (row["bound"], row["passed"], row["action"], row["of"], row["against"]) == (0.05, False, "refuse", "train/", "train/ of run a")


def test_numbers_of_different_widths():
    """Normal distributions with means 0 and 1; SciPy's divergence of the same histograms."""
    from scipy.spatial.distance import jensenshannon

    rng = np.random.default_rng(0)
    before, now = rng.normal(0, 1, 20_000), rng.normal(1, 1, 20_000)
    edges = np.linspace(-5, 6, 60)
    expected = jensenshannon(*(np.histogram(x, edges)[0] for x in (before, now)), base=2) ** 2
    schema = make_schema(price="float")
    found = figures({"price": now.tolist()}, {"price": before.tolist()}, schema=schema)
    assert one(found, "price", "jensen_shannon_divergence")["value"] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("at_most, action, refused, warned", [
    (0.351, "refuse", 0, 0), (0.349, "refuse", 1, 0), (0.349, "warn", 0, 1), (1.0, "refuse", 0, 0), (0.0, "refuse", 1, 0),
])  # fmt: skip
def test_a_bound_warns_or_refuses(at_most, action, refused, warned):
    found = figures(rules=[Rule("drift", "genre", "auto", at_most, action)])
    assert (len(refusals(found)), len(warnings(found))) == (refused, warned)
    assert one(found, "genre", "infinity_norm")["passed"] is not bool(refused or warned)


def test_the_sentence_has_the_numbers():
    found = figures(rules=[Rule("drift", "genre", "auto", 0.1, "refuse"), Rule("drift", "user_id", "auto", 0.2, "warn")])
    assert refusals(found) == [
        "drift of feature 'genre': the L-infinity distance of train/ from train/ of run a is 0.3500, but at most 0.1 is asked for."
    ]
    assert warnings(found) == [
        "drift of feature 'user_id': the L-infinity distance of train/ from train/ of run a is 0.3000, but at most 0.2 is asked for."
    ]


def test_a_bound_that_cannot_be_measured_is_said():
    """TFDV says 0 for the L-infinity distance of numbers, whatever they are. A feature that was not there before has no distance."""
    rules = [Rule("drift", "price", "infinity_norm", 0.1, "refuse"), Rule("drift", "genre", "auto", 0.1, "refuse")]
    found = figures(before={name: values for name, values in BEFORE.items() if name != "genre"}, rules=rules)
    assert one(found, "price", "infinity_norm")["value"] is None
    assert refusals(found) == []
    assert warnings(found) == [
        f"drift of feature {name!r} is not measured: train/ or train/ of run a has no values of it, or other ones than {measure} is for."
        for name, measure in (("price", "infinity_norm"), ("genre", "infinity_norm"))
    ]


def test_a_curated_schema_s_comparators_are_honoured():
    """Case 19: they were ignored in silence. The configuration of the same feature counts more."""
    schema = make_schema(genre="bytes", user_id="id")
    schema.feature[0].drift_comparator.CopyFrom(
        text_format.Parse("infinity_norm { threshold: 0.1 }", type(schema.feature[0].drift_comparator)())
    )
    schema.feature[1].skew_comparator.jensen_shannon_divergence.threshold = 0.01
    now, before = ({name: columns[name] for name in ("genre", "user_id")} for columns in (NOW, BEFORE))
    found = figures(now, before, schema=schema, requests=before, read={"genre", "user_id"})
    assert [(row["kind"], row["feature"], row["measure"]) for row in found if row["passed"] is False] == [
        ("drift", "genre", "infinity_norm"),
        ("skew", "user_id", "jensen_shannon_divergence"),
    ]
    assert one(found, "user_id", "jensen_shannon_divergence", "skew")["value"] == pytest.approx(
        divergence([0.5, 0.5], [0.8, 0.2]), abs=1e-6
    )
    assert len(refusals(found)) == 2
    found = figures(now, before, schema=schema, rules=[Rule("drift", "genre", "auto", 0.5, "refuse")])
    assert refusals(found) == []


def test_a_feature_that_collapses_to_missing_is_refused():
    """Case 19: two features that were missing altogether in a later run were pushed. −1, "", NaN and absence mean the same."""
    schema = make_schema(genre="bytes", user_id="id", price="float", tags="bytes", rare="bytes")
    before = {
        "genre": [b"jazz"] * 98 + [None] * 2, "user_id": [3] * 100, "price": [1.0] * 50 + [float("nan")] * 50, "tags": [[b"a", b"b"]] * 100,
        "rare": [b"x"] * 9 + [None] * 91,
    }  # fmt: skip
    now = {
        "genre": [b""] * 100, "user_id": [-1] * 99 + [3], "price": [float("nan")] * 100, "tags": [[]] * 100, "rare": [None] * 100,
    }  # fmt: skip
    found = figures(now, before, schema=schema)
    shares = {row["feature"]: (row["before"], row["value"], row["passed"]) for row in found if row["measure"] == "presence"}
    assert shares == {
        "genre": (0.98, 0.0, False), "user_id": (1.0, 0.01, True), "price": (0.5, 0.0, False), "tags": (1.0, 0.0, False),
    }  # fmt: skip
    assert refusals(found)[0] == (
        "feature 'genre' has a value in 0.00% of train/, but had one in 98.00% of train/ of run a: at least 1.00% is asked for."
    )
    assert len(refusals(found)) == 3
    warned = figures(now, before, schema=schema, presence=Presence(0.1, 0.01, "warn"))
    assert refusals(warned) == [] and len(warnings(warned)) == 3
    assert refusals(figures(now, before, schema=schema, presence=Presence(1.0, 0.0, "refuse"))) == []


def test_events_without_a_value_do_not_make_a_history_collapse():
    """More missing prices than impressions: each history still has a price. Without any price it has collapsed."""
    schema, nan = make_schema(historical_prices="float", historical_brands="bytes"), float("nan")
    full = {"historical_prices": [[1.0, 2.0, 3.0]] * 100, "historical_brands": [[b"a", b"b", b"c"]] * 100}
    sparse = {"historical_prices": [[nan, nan, 3.0]] * 100, "historical_brands": [[b"", b"", b"c"]] * 100}
    empty = {"historical_prices": [[nan] * 3] * 100, "historical_brands": [[b""] * 3] * 100}
    assert refusals(figures(sparse, full, schema=schema)) == []
    assert {row["value"] for row in figures(sparse, full, schema=schema) if row["measure"] == "presence"} == {1.0}
    assert len(refusals(figures(empty, full, schema=schema))) == 2


def test_a_column_that_no_schema_has_any_more_is_only_warned_about():
    schema = make_schema(label="int")
    found = figures({"label": [0, 1]}, {"label": [0, 1], "request_id": [4, 4]}, schema=schema)
    assert refusals(found) == []
    assert warnings(found) == [
        "feature 'request_id' has a value in 0.00% of train/, but had one in 100.00% of train/ of run a: at least 1.00% is asked for."
    ]


def test_skew_compares_what_the_model_reads_alone():
    """Requests have no label. A feature that serving never sends is the worst skew."""
    found = figures(before=None, requests={"genre": [b"jazz"] * 50 + [b"pop"] * 50, "user_id": [-1] * 100}, read={"genre", "user_id"})
    assert [row["feature"] for row in found if row["measure"] == "infinity_norm"] == ["genre", "user_id"]
    assert one(found, "genre", "infinity_norm", "skew")["value"] == pytest.approx(0.25)
    assert one(found, "user_id", "presence", "skew")["value"] == 0
    assert refusals(found) == [
        "feature 'user_id' has a value in 0.00% of the requests in log, but had one in 100.00% of train/: at least 1.00% is asked for."
    ]


def test_the_component_writes_the_figures_of_splits_with_other_names(tmp_path):
    """The day before, read from another split, against the day now."""
    write_statistics(tmp_path / "now", "train", make_statistics(SCHEMA, **NOW))
    write_statistics(tmp_path / "before", "impressions", make_statistics(SCHEMA, **BEFORE))
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(SCHEMA))
    artifacts = {
        "statistics": standard_artifacts.ExampleStatistics(), "previous": standard_artifacts.ExampleStatistics(),
        "schema": standard_artifacts.Schema(), "figures": DriftFigures(),
    }  # fmt: skip
    for name, folder in {"statistics": "now", "previous": "before", "schema": "schema", "figures": "figures"}.items():
        artifacts[name].uri = str(tmp_path / folder)
    settings = {
        "split": "train", "name": "day 2026-11-24", "previous_split": "impressions", "previous_name": "day 2026-11-23",
        "requests_split": "", "requests_name": "",
        "rules": [Rule("drift", "genre", "auto", 0.1, "refuse")._asdict()], "presence": USUAL._asdict(), "read": [],
    }  # fmt: skip
    run = DriftValidator.EXECUTOR_SPEC.executor_class._FUNCTION
    run(settings=json.dumps(settings), source_fingerprint="", **artifacts)
    found = read_figures(tmp_path / "figures")
    assert describe_figure(one(found, "genre", "infinity_norm")).endswith(
        "of day 2026-11-24 from day 2026-11-23 is 0.3500, but at most 0.1 is asked for."
    )
    del artifacts["previous"]
    run(settings=json.dumps(settings), source_fingerprint="", **artifacts)
    assert read_figures(tmp_path / "figures") == []
