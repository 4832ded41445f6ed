"""Arranges the figures of drift and skew for the data section: a table for each comparison, what does not hold first."""

from typing import Any

from components.drift.drift_figures import INFINITY_NORM, JENSEN_SHANNON, PRESENCE

_MEASURES = {INFINITY_NORM: "L-infinity distance", JENSEN_SHANNON: "Jensen-Shannon divergence", PRESENCE: "share with a value"}


def drift_tables(figures: Any) -> list[dict[str, Any]]:
    """Returns a table for drift and one for skew, where there are figures of it: `title` and `rows`.

    Args:
        figures: As in `components.drift.drift_figures`. Runs of earlier releases recorded something else, which is not shown.
    """
    tables: list[dict[str, Any]] = []
    if not isinstance(figures, list):
        return tables
    for kind in ("drift", "skew"):
        if of_kind := [figure for figure in figures if figure["kind"] == kind]:
            rows = sorted(of_kind, key=lambda row: (row["passed"] is not False, row["measure"] == PRESENCE, -(row["value"] or 0)))
            title = f"{kind.capitalize()}: {of_kind[0]['of']} against {of_kind[0]['against']}"
            tables.append({"title": title, "rows": [_row(row) for row in rows]})
    return tables


def _row(figure: dict[str, Any]) -> dict[str, Any]:
    bound = "" if figure["bound"] is None else f"at {'least' if figure['measure'] == PRESENCE else 'most'} {figure['bound']:g}"
    unknown = "" if figure["bound"] is None else "not measured"
    holds = unknown if figure["passed"] is None else "yes" if figure["passed"] else "NO"
    return {**figure, "measure": _MEASURES[figure["measure"]], "bound_text": bound, "holds": holds}
