"""Computes the results of a suite from its rows: figures by model, differences with intervals, and verdicts on claims."""

import statistics
from typing import Any, NamedTuple

import numpy as np

from benchmarks.quality.compared_models import ROWS
from benchmarks.quality.eval_judge import EvalSplit
from benchmarks.quality.model_table import relative_improvement, spread
from benchmarks.quality.paired_intervals import METRICS, Draws, Replicates, difference
from benchmarks.suite.row_store import Row
from benchmarks.suite.suite_config import SuiteData
from benchmarks.suite.suite_data import Imported
from pipeline.configuration.load_config import load_config

REFERENCE = "din"
CONFIRMED, CONTRADICTED, UNDECIDED = "confirmed", "contradicted", "not decided"


class Claim(NamedTuple):
    """A claim that the AUC of one model is above that of another; not below it, if the claim is not strict."""

    text: str
    better: str
    worse: str
    strictly: bool = True

    def verdict(self, low: float | None, high: float | None) -> str:
        """Returns what an interval of the difference says about the claim."""
        if low is None or high is None:
            return UNDECIDED
        if low > 0 or (low == 0 and not self.strictly):
            return CONFIRMED
        if high < 0 or (high == 0 and self.strictly):
            return CONTRADICTED
        return UNDECIDED


CLAIMS = (
    Claim("LR < Base", "base", "lr"),
    Claim("Base < the paper's DIN", "paper", "base"),
    Claim("Dice ≥ PReLU", "paper", "prelu", strictly=False),
    Claim("regularisation helps", "paper", "unregularised"),
    Claim("the paper's λ helps", "mba", "paper"),
    Claim("softmax does not help", "paper", "softmax", strictly=False),
    Claim("history adds", "paper", "no_history"),
    Claim("the paper's DIN ≥ DeepCTR's DIN, both not regularised", "unregularised", "deepctr", strictly=False),
    Claim("the paper's DIN < DIN", "din", "paper"),
    Claim("PNN < DIN", "din", "pnn"),
)


def results_of_data(
    data: SuiteData, settings: list[str], imported: Imported, judge: EvalSplit, rows: dict[str, list[Row]]
) -> dict[str, Any]:
    """Returns the results on a data set.

    Args:
        data: The data set in the suite.
        settings: key=value: settings that replace those of the suite.
        imported: The imported data set.
        judge: Its eval split.
        rows: The rows by model, with the same seeds in the same order.
    """
    draws = Draws(judge)
    drawn = {name: draws.of([row.logits for row in of_model]) for name, of_model in rows.items()}
    configured = [*data.settings, *settings]
    return {
        "name": data.name,
        "title": data.title,
        "config": data.config,
        "settings": configured,
        "configuration": load_config(data.config, configured).din.model_dump(mode="json"),
        "published": data.published or None,
        "source": {"importer": data.importer, "source": data.source, "package": data.package or None, "options": data.options},
        "is_source_there": imported.is_source_there,
        "manifest": imported.manifest,
        "digest": imported.digest,
        "models": [_figures(name, data.settings_of(name), rows, drawn) for name in rows],
        "claims": [_claim(claim, rows, drawn) for claim in CLAIMS if _can_be_judged(claim, rows)],
    }


def _can_be_judged(claim: Claim, rows: dict[str, list[Row]]) -> bool:
    """Whether both models were trained, and differ: with λ = 0 a model is the same as the one without regularisation."""
    if not {claim.better, claim.worse} <= rows.keys():
        return False
    pairs = zip(rows[claim.better], rows[claim.worse], strict=True)
    return not all(np.array_equal(row.logits, other.logits) for row, other in pairs)


def _values(rows: list[Row], metric: str) -> list[Any]:
    return [row.figures[metric] for row in rows]


def _less(name: str, other: str, metric: str, rows: dict[str, list[Row]], drawn: dict[str, Replicates]) -> dict[str, Any] | None:
    """Returns the difference of a metric between two models; None if a value is not known or both are the same model."""
    values, others = _values(rows[name], metric), _values(rows[other], metric)
    if name == other or None in values or None in others:
        return None
    return difference(values, others, drawn[name][metric], drawn[other][metric])


def _figures(name: str, settings: tuple[str, ...], rows: dict[str, list[Row]], drawn: dict[str, Replicates]) -> dict[str, Any]:
    """Returns a row of the table."""
    own = {metric: spread(_values(rows[name], metric)) for metric in (*METRICS, "log_loss")}
    base = {metric: spread(_values(rows["base"], metric)) if "base" in rows else None for metric in METRICS}
    return {
        "name": name,
        "title": ROWS[name].title,
        "settings": list(settings),
        **own,
        "validation_auc": spread([max(row.figures["validation_aucs"]) for row in rows[name]]),
        "rela_impr": {metric: _improvement(own[metric], base[metric]) for metric in METRICS},
        "less_din": {metric: _less(name, REFERENCE, metric, rows, drawn) if REFERENCE in rows else None for metric in METRICS},
        "best_epochs": _values(rows[name], "best_epoch"),
        "still_improving": _values(rows[name], "still_improving"),
        "trained": [row.figures.get("trained") for row in rows[name]],
        "seconds": statistics.mean(_values(rows[name], "seconds")),
    }


def _improvement(own: dict[str, Any] | None, base: dict[str, Any] | None) -> float | None:
    return None if own is None or base is None else relative_improvement(own["mean"], base["mean"])


def _claim(claim: Claim, rows: dict[str, list[Row]], drawn: dict[str, Replicates]) -> dict[str, Any]:
    found = _less(claim.better, claim.worse, "auc", rows, drawn)
    assert found is not None
    return {
        "claim": claim.text,
        "better": claim.better,
        "worse": claim.worse,
        **found,
        "verdict": claim.verdict(found["low"], found["high"]),
    }
