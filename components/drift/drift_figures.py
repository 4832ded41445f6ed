"""The figures that DriftValidator leaves, and the sentences for those that do not hold their bounds. TensorFlow is not imported.

A figure has `kind` (drift or skew), `feature`, `measure`, `value`, `bound` (null if there is none), `passed` (null if there is no bound, or
nothing could be measured), `action` (warn or refuse), `of` and `against` (the names of what was compared) and, for presence, the share
`before`.
"""

import json
from pathlib import Path
from typing import Any

INFINITY_NORM, JENSEN_SHANNON = "infinity_norm", "jensen_shannon_divergence"  # the fields of TFMD's FeatureComparator
DRIFT_FILE = "drift.json"
PRESENCE = "presence"
_NAMES = {INFINITY_NORM: "L-infinity distance", JENSEN_SHANNON: "Jensen-Shannon divergence"}

Figure = dict[str, Any]


def describe_figure(figure: Figure) -> str:
    """Returns the sentence for a figure that does not hold its bound, or that could not be measured."""
    kind, name, data, against = figure["kind"], figure["feature"], figure["of"], figure["against"]
    if figure["value"] is None:
        return (
            f"{kind} of feature {name!r} is not measured: {data} or {against} has no values of it, or other ones than "
            f"{figure['measure']} is for."
        )
    if figure["measure"] == PRESENCE:
        place, before = (data, against) if kind == "drift" else (against, data)
        return (
            f"feature {name!r} has a value in {figure['value']:.2%} of {place}, but had one in {figure['before']:.2%} of {before}: "
            f"at least {figure['bound']:.2%} is asked for."
        )
    return (
        f"{kind} of feature {name!r}: the {_NAMES[figure['measure']]} of {data} from {against} is {figure['value']:.4f}, "
        f"but at most {figure['bound']:g} is asked for."
    )


def refusals(figures: list[Figure]) -> list[str]:
    """Returns the sentences of the figures that must stop a run."""
    return [describe_figure(figure) for figure in figures if figure["passed"] is False and figure["action"] == "refuse"]


def warnings(figures: list[Figure]) -> list[str]:
    """Returns the sentences of the figures that a run says and goes on: those to warn about, and bounds that nothing was measured for."""
    return [
        describe_figure(figure)
        for figure in figures
        if (figure["passed"] is False and figure["action"] == "warn") or (figure["passed"] is None and figure["bound"] is not None)
    ]


def read_figures(folder: Path) -> list[Figure]:
    """Reads the figures of an artifact."""
    return json.loads((folder / DRIFT_FILE).read_text())
