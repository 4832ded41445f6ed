"""Records with which versions, on which machine and when a row was trained. This is not a part of the row's key."""

import datetime
import os
import platform
from importlib.metadata import version
from typing import Any

from benchmarks.peers import peer_environment
from benchmarks.quality.compared_models import PEERS

_LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn")
_PEER_LIBRARIES = ("tensorflow", "tf-keras", "numpy", "deepctr")


def provenance(model: str) -> dict[str, Any]:
    """Returns the versions of the libraries (for a peer, those of its environment), the machine, and the date."""
    pinned = dict(requirement.split("==") for requirement in peer_environment.REQUIREMENTS)
    versions = {name: pinned[name] for name in _PEER_LIBRARIES} if model in PEERS else {name: version(name) for name in _LIBRARIES}
    return {
        "versions": versions,
        "machine": {"cpus": os.cpu_count(), "platform": platform.platform()},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def differing_versions(data: list[dict[str, Any]], seeds: list[int]) -> dict[str, list[str]]:
    """Returns the rows by the versions that trained them, e.g. {"tensorflow 2.21.0": ["ml: LR 0, 1"]}; empty if all are the same.

    Args:
        data: The data sets of the results. Peers are left out, because their versions are a part of their keys.
        seeds: The seeds of the rows, in their order.
    """
    rows: dict[str, dict[str, list[str]]] = {}
    for of_data in data:
        for model in (model for model in of_data["models"] if model["name"] not in PEERS):
            for seed, trained in zip(seeds, model["trained"], strict=True):
                versions = ", ".join(f"{name} {value}" for name, value in trained["versions"].items()) if trained else "not recorded"
                rows.setdefault(versions, {}).setdefault(f"{of_data['name']}: {model['title']}", []).append(str(seed))
    if len(rows) < 2:
        return {}
    return {versions: [f"{name} {', '.join(by)}" for name, by in models.items()] for versions, models in rows.items()}
