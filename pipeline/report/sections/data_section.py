"""Arranges the statistics of the data section by feature, then by split."""

from typing import Any


def features_by_split(data: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Returns each feature with one row for each split that has it.

    Args:
        data: The `data` of a run's details.
    """
    features: dict[str, list[dict[str, Any]]] = {}
    for split, part in data["splits"].items():
        for feature in part["features"]:
            features.setdefault(feature["name"], []).append({**feature, "split": split})
    return list(features.items())
