"""The table of the trials of a search, the best ones first."""

from collections.abc import Sequence
from typing import Any

from din_trainer.tuning.search_space import value_text

_MOST = 100  # trials that a page shows


def trial_rows(trials: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the columns and the rows of the table; None without trials.

    Args:
        trials: The content of `trials.json`.

    Returns:
        `keys`: the keys that were searched. `rows`: the best trials, with those that failed at the end. `total`: how many there were.
    """
    if not trials:
        return None
    rows = [_row(number, trial) for number, trial in enumerate(trials, 1)]
    rows.sort(key=lambda row: (row["auc"] is None, -(row["auc"] or 0.0), row["number"]))
    rows[0]["marks"].insert(0, "chosen")
    return {"keys": list(trials[0]["values"]), "rows": rows[:_MOST], "total": len(rows)}


def _row(number: int, trial: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": number,
        "marks": ["own setting"] if number == 1 else [],
        "values": [value_text(value) for value in trial["values"].values()],
        **{name: trial[name] for name in ("auc", "epoch", "seconds", "failed")},
    }
