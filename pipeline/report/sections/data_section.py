"""The statistics of the data as the page shows them: by feature, then by split."""

from typing import Any


def features_by_split(data: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each feature with a row a split, in the order of the first split that has it.

    Args:
        data: Of a run's details.
    """
    features: dict[str, list[dict[str, Any]]] = {}
    for split, part in data["splits"].items():
        for feature in part["features"]:
            features.setdefault(feature["name"], []).append({**feature, "split": split})
    return list(features.items())
