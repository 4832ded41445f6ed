"""What a search for better settings has found: for the summary, and in sentences for the terminal."""

from collections.abc import Sequence
from typing import Any

from din_trainer.tuning.search_space import values_text


def tuner_summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the summary says of a search.

    Args:
        trials: The content of `trials.json`. The first trial had the configuration's own values. One trial at least has an AUC.

    Returns:
        `trials`: how many there were. `failed`: how many of them failed. `best`: the number of the best one, from 1. `values`: the values
        of its keys, with which the model was trained. `validation_auc`: its AUC. `own_validation_auc`: that of the first one; None if it
        failed.
    """
    aucs = {number: trial["auc"] for number, trial in enumerate(trials, 1) if trial["auc"] is not None}
    best = max(aucs, key=lambda number: aucs[number])
    return {
        "trials": len(trials),
        "failed": len(trials) - len(aucs),
        "best": best,
        "values": trials[best - 1]["values"],
        "validation_auc": aucs[best],
        "own_validation_auc": aucs.get(1),
    }


def tuner_lines(tuner: dict[str, Any] | None) -> list[str]:
    """Returns one line on the trials, and one on the values that were chosen.

    Args:
        tuner: From the summary; None without a search.
    """
    if not tuner:
        return []
    own, failed = tuner["own_validation_auc"], f", {tuner['failed']} of them failed" if tuner["failed"] else ""
    first = "failed" if own is None else f"{own:.4f}"
    head = f"tuned by {tuner['trials']} trials{failed}: validation AUC {tuner['validation_auc']:.4f} in trial {tuner['best']}"
    return [f"{head}, {first} with the configuration's own values", f"trained with {values_text(tuner['values'])}"]
