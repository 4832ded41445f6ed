"""Makes workspaces with all that a report can show, and with values that try to break the page."""

import json
import math
from pathlib import Path
from typing import Any

from pipeline.records.summary import Summary

SCRIPT = "</script><script>document.title = 'broken in'</script>"
HOSTILE = (SCRIPT, '<img src=x onerror="document.title = 1">', "\"quotes\" & 'more' {{ 7 * 7 }}", "Zürich – 東京 🛒", "<b>bold</b>")
ACTIVITIES = ("0", "1-2", "3-5", "6-10", "11-20", "101-200")
_BETTER_BY = {"auc": 0.006, "gauc": 0.004, "pr_auc": 0.003, "log_loss": -0.004, "calibration_error": 0.001, "accuracy": 0.002}


def estimates(auc: float, examples: int, baseline: bool = True) -> dict[str, Any]:
    """Returns all metrics of a slice. Intervals are wider for fewer examples."""
    values = {
        "auc": auc,
        "gauc": auc - 0.02,
        "one_class_users": 0.13,
        "pr_auc": auc - 0.2,
        "log_loss": 1.24 - auc,
        "normalized_entropy": 1.55 - auc,
        "calibration": 1.02,
        "calibration_error": 0.012,
        "accuracy": auc + 0.03,
    }
    half = 0.8 / math.sqrt(examples)
    return {name: _estimate(value, half, _BETTER_BY.get(name, 0.0) if baseline else None) for name, value in values.items()}


def _estimate(value: float, half: float, better_by: float | None) -> dict[str, Any]:
    interval = {"value": value, "low": value - half, "high": value + half}
    if better_by is None:
        return {**interval, "baseline": None, "change": None}
    change = {"value": better_by, "low": better_by - half / 3, "high": better_by + half / 3}
    return {**interval, "baseline": value - better_by, "change": change}


def slice_of(key: list[list[Any]], auc: float, examples: int, users: int | None, baseline: bool = True) -> dict[str, Any]:
    counts = {"examples": examples, "clicks": examples // 4, "users": users}
    name = ", ".join(f"{feature}={value}" for feature, value in key) or "overall"
    return {"slice": name, "key": key, **counts, "metrics": estimates(auc, examples, baseline)}


def curves(strength: float) -> dict[str, Any]:
    grid = [at / 1000 for at in range(1001)]
    edges = [at / 40 for at in range(41)]
    middle = [at + 1 / 80 for at in edges[:-1]]
    return {
        "roc": {"fpr": grid, "tpr": [at ** (1 / strength) for at in grid]},
        "pr": {"recall": grid, "precision": [0.95 - 0.7 * at**strength for at in grid]},
        "calibration": {
            "predicted": [0.03, 0.08, 0.15, 0.22, 0.31, 0.44, 0.58, 0.77],
            "observed": [0.02, 0.09, 0.14, 0.23, 0.30, 0.47, 0.56, 0.79],
            "examples": [2500] * 8,
        },
        "scores": {
            "edges": edges,
            "clicked": [round(900 * at * math.exp(-2 * at)) for at in middle],
            "not_clicked": [round(4000 * math.exp(-4 * at)) for at in middle],
        },
    }


def evaluation(auc: float = 0.79, baseline: bool = True) -> dict[str, Any]:
    slices = [slice_of([], auc, 20000, 950, baseline)]
    for at, activity in enumerate(ACTIVITIES):
        slices.append(slice_of([["user_activity", activity]], auc - 0.05 + 0.01 * at, 300 + 900 * at, 160, baseline))
        slices.append(slice_of([["historical_item_ids_length", activity]], auc - 0.03 + 0.008 * at, 250 + 700 * at, 300 + at, baseline))
        slices.append(slice_of([["user_activity", activity], ["item_popularity", "11-20"]], auc - 0.01 * at, 90 + 40 * at, None, baseline))
    for at, value in enumerate(HOSTILE):
        slices.append(slice_of([["city", value]], auc - 0.02 * at, 800 + at, 40, baseline))
    slices.append(slice_of([["city", "nowhere"]], 0.5, 7, 3, baseline))
    slices[-1]["metrics"]["auc"] = {"value": math.nan, "low": None, "high": None, "baseline": None, "change": None}
    both = {"candidate": curves(4.0), "baseline": curves(3.6) if baseline else None}
    return {"confidence": 0.95, "replicates": 400, "slices": slices, "curves": both}


def config(epochs: int = 5) -> dict[str, Any]:
    behaviours = {
        "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
        "category": {"candidate": "candidate_category_id", "history": "historical_category_ids"},
    }
    return {
        "name": "demo",
        "features": {"history_length": 10, "behaviours": behaviours},
        "model": {"kind": "din", "hidden": [64, 32], "activation": "dice"},
        "training": {"epochs": epochs, "learning_rate": 0.001},
        "evaluation": {"slices": ["historical_item_ids_length", ["user_activity", "item_popularity"]]},
    }


def details() -> dict[str, Any]:
    return {"attention": _attention(), "importance": _importance(), "training": _training(), "data": _data(), "card": _card()}


def _importance() -> dict[str, Any]:
    def row(feature: str, lost: float) -> dict[str, Any]:
        return {"feature": feature, "lost": lost, "low": lost - 0.01, "high": lost + 0.01}

    overall = [row("candidate_item_id", 0.12), row("clicks", 0.08), row(HOSTILE[0], -0.001)]
    slices = [
        {"slice": "overall", "examples": 20_000, "auc": 0.78, "features": overall},
        {"slice": "user_activity=0", "examples": 700, "auc": 0.6, "features": overall[1:2]},
    ]
    return {"examples": 20_000, "confidence": 0.95, "slices": slices}


def _attention() -> list[dict[str, Any]]:
    def event(weight: float, item: Any, category: Any) -> dict[str, Any]:
        return {"weight": weight, "historical_item_ids": item, "historical_category_ids": category}

    clicks = [event(0.12, 71, 4), event(-0.31, 203, HOSTILE[0]), event(1.84, 288, 38), event(0.02, 17, "Zürich"), event(0.9, 32, 38)]
    candidate = {"candidate_item_id": 288, "candidate_category_id": 38, "user_id": HOSTILE[1]}
    return [
        {"label": 1, "probability": 0.81, "candidate": candidate, "contributions": {"user_id": 0.25, "candidate_item_id": -1.5}}
        | {"sequences": [{"name": "clicks", "events": clicks}]},
        {"label": 0, "probability": 0.07, "candidate": {"candidate_item_id": 5}, "sequences": [{"name": "clicks", "events": []}]},
        {"label": 0, "probability": 0.33, "candidate": candidate, "sequences": [{"name": "clicks", "events": clicks[:3] * 8}]},
    ]


def _training() -> dict[str, Any]:
    return {
        "epochs": [1, 2, 3, 4],
        "series": {
            "loss": {"train": [0.52, 0.47, 0.45, 0.44], "validation": [0.49, 0.462, 0.455, 0.456]},
            "auc": {"train": [0.70, 0.76, 0.78, 0.793], "validation": [0.735, 0.771, 0.781, 0.783]},
        },
    }


def _data() -> dict[str, Any]:
    def features(examples: int) -> list[dict[str, Any]]:
        nothing = {"mean": None, "std": None, "zeros": None, "distinct": None}
        top = [[value, 100 - at] for at, value in enumerate(HOSTILE)]
        return [
            {"name": "user_id", "type": "int", "presence": 1.0, **nothing, "distinct": 1000, "top": [[416, examples // 90], [7, 80]]},
            {"name": "hour", "type": "float", "presence": 0.98, "mean": 11.6, "std": 6.2, "zeros": 412, "distinct": None, "top": []},
            {"name": "city", "type": "string", "presence": 0.997, **nothing, "distinct": 5, "top": top},
            {"name": "historical_item_ids", "type": "int", "presence": 0.94, **nothing, "distinct": 498, "top": [[32, 911]]},
        ]

    sizes = {"train": 160000, "validation": 20000, "eval": 20000}
    drift = [
        {"kind": "drift", "feature": "hour", "measure": "jensen_shannon_divergence", "value": 0.013, "bound": None, "passed": None},
        {"kind": "drift", "feature": HOSTILE[4], "measure": "infinity_norm", "value": 0.21, "bound": 0.2, "passed": False},
        {"kind": "drift", "feature": "city", "measure": "presence", "value": 0.99, "before": 1.0, "bound": 0.01, "passed": True},
        {"kind": "skew", "feature": "city", "measure": "infinity_norm", "value": None, "bound": 0.1, "passed": None},
    ]
    against = {"drift": "train/ of run 20261101-090000-demo", "skew": "the requests in /logs"}
    return {
        "splits": {split: {"examples": size, "features": features(size)} for split, size in sizes.items()},
        "missing": ["Feature 'hour' has no value in eval/."],
        "anomalies": [f"city: unexpected value {HOSTILE[0]} in 3 impressions of train."],
        "drift": [{**row, "action": row["bound"] and "warn", "of": "train/", "against": against[row["kind"]]} for row in drift],
    }


def _card() -> dict[str, Any]:
    return {"versions": {"tensorflow": "2.21.0", "keras": "3.15.0"}, "code": "3f9c1a7b20de", "parameters": 184321, "bytes": 1234567}


def summary(at: int, status: str, auc: float | None, **changes: Any) -> Summary:
    """Returns the summary of the run that started on day `at` of the month."""
    metrics = {name: one["value"] for name, one in estimates(auc, 20000).items()} if auc is not None else None
    known: dict[str, Any] = {
        "run_id": f"202611{at:02}-090000-demo",
        "name": "demo",
        "status": status,
        "exit_code": 0,
        "started": f"2026-11-{at:02}T09:00:00+00:00",
        "data": f"/data/days/2026-11-{at:02}",
        "examples": {"train": 160000, "validation": 20000, "eval": 20000},
        "metrics": metrics,
        "oracle": {"auc": 0.8017, "gauc": 0.7842, "log_loss": 0.4364},
        "pushed_version": 1795500000 + at if status == "pushed" else None,
    }
    return Summary(**{**known, **changes})


def gate(metric: str, where: str, rule: str, value: float, passed: bool, **more: Any) -> dict[str, Any]:
    return {"metric": metric, "slice": where, "kind": "value", "rule": rule, "bound": 0.6, "value": value, "passed": passed, **more}


def full_workspace(workspace: Path) -> Path:
    """Writes six runs with the same name. The last two have all files, with different configurations; the last one was refused.

    Returns:
        The folder of the last run.
    """
    for at, (status, auc) in enumerate([("pushed", 0.762), ("refused", 0.7), ("pushed", 0.775), ("failed", None)], start=1):
        reason = None if status == "pushed" else f"AUC fell because of {HOSTILE[0]}."
        summary(at, status, auc, refused_because=reason).write(workspace)
    before = summary(20, "pushed", 0.784)
    last = summary(
        21,
        "refused",
        0.79,
        refused_because=f"gauc on city={HOSTILE[0]} is 0.5512, below at least 0.6; log_loss is 0.45, but at most 0.4 is asked for.",
        baseline={"version": 1795500020, "metrics": {"auc": 0.784}},
        thresholds=[
            gate("auc", "overall", "at least 0.6", 0.79, True),
            gate("auc", "overall", "at most 0.005 below the baseline", 0.006, True),
            gate(
                "gauc", f"city={HOSTILE[0]}", "at least 0.6", 0.5512, False, judged=True, confident=True, examples=800, low=0.5, high=0.61
            ),
            gate("gauc", "user_activity=0", "at least 0.6", 0.5, True, judged=False, confident=False, examples=40),
        ],
        seconds={"total": 70.052, "components": {}},
    )
    for run, epochs, auc in ((before, 3, 0.784), (last, 5, 0.79)):
        run.write(workspace)
        folder = workspace / "runs" / run.run_id
        for name, content in (("evaluation", evaluation(auc)), ("config", config(epochs)), ("details", details())):
            (folder / f"{name}.json").write_text(json.dumps(content))
    return workspace / "runs" / last.run_id


def two_label_workspace(workspace: Path) -> Path:
    """Changes the last run of a full workspace: it predicts click and purchase, and its baseline click alone.

    Returns:
        The folder of the last run.
    """
    folder = full_workspace(workspace)
    content = json.loads((folder / "summary.json").read_text())
    purchase = evaluation(0.65, baseline=False)
    metrics = {name: one["value"] for name, one in purchase["slices"][0]["metrics"].items()}
    baseline = {"metrics_by_label": {"click": content["baseline"]["metrics"]}, "changes_by_label": {"click": {}}}
    oracle = {"click": content["oracle"], "purchase": {"auc": 0.7, "gauc": 0.69, "log_loss": 0.2}}
    more = gate("auc", "overall", "at least 0.7", 0.65, False, label="purchase")
    on_slice = gate("auc", "user_activity=0", "at least 0.7", 0.6, False, label="purchase", judged=True, examples=300)
    changes = {
        "metrics_by_label": {"click": content["metrics"], "purchase": metrics},
        "oracle_by_label": oracle,
        "baseline": {**content["baseline"], **baseline},
        "thresholds": [*content["thresholds"], more, on_slice],
    }
    (folder / "summary.json").write_text(json.dumps({**content, **changes}))
    further = {"purchase": {name: purchase[name] for name in ("slices", "curves")}}
    both = {**evaluation(), "labels": ["click", "purchase"], "further_labels": further}
    (folder / "evaluation.json").write_text(json.dumps(both))
    return folder


def bare_workspace(workspace: Path) -> Path:
    """Writes one run that failed before its evaluation.

    Returns:
        The folder of the run.
    """
    run = summary(3, "failed", None, oracle=None, examples=None, data=None, refused_because="ValueError: no message")
    run.write(workspace)
    return workspace / "runs" / run.run_id
