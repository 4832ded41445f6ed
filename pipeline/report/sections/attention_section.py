"""Prepares the sample impressions of the attention section: each history with its weights, beside the candidate."""

from collections.abc import Mapping
from typing import Any

_MOST_CONTRIBUTIONS = 8  # features that are shown of an impression


def attention_view(samples: list[dict[str, Any]], config: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Returns the samples with their events, newest first. The `share` of an event is its weight divided by the largest one, -1 to 1.
    `contributions` are the largest ones.

    Args:
        samples: The `attention` of a run's details.
        config: The configuration: it says which field of the candidate a history belongs to, so that equal values can be marked.
    """
    behaviours = ((config or {}).get("features") or {}).get("behaviours") or {}
    candidates = {behaviour["history"]: behaviour["candidate"] for behaviour in behaviours.values() if behaviour}
    return [
        {
            **sample,
            "sequences": [_sequence(part, sample["candidate"], candidates) for part in sample["sequences"]],
            "contributions": _largest(sample.get("contributions") or {}),
        }
        for sample in samples
    ]


def _largest(contributions: Mapping[str, float | None]) -> list[tuple[str, float]]:
    """The features that add the most to the logit, or take the most away, the strongest first."""
    known = [(name, value) for name, value in contributions.items() if value is not None]
    return sorted(known, key=lambda pair: -abs(pair[1]))[:_MOST_CONTRIBUTIONS]


def _sequence(sequence: dict[str, Any], candidate: Mapping[str, Any], candidates: Mapping[str, str]) -> dict[str, Any]:
    events = sequence["events"][::-1]
    largest = max((abs(event["weight"] or 0) for event in events), default=0) or 1
    features = list(dict.fromkeys(name for event in events for name in event if name != "weight"))
    rows = [
        {
            "weight": event["weight"],
            "share": (event["weight"] or 0) / largest,
            "values": [
                {"text": event.get(name), "same": _same(event.get(name), candidate.get(candidates.get(name, "")))} for name in features
            ],
        }
        for event in events
    ]
    return {"name": sequence["name"], "features": features, "events": rows}


def _same(value: Any, other: Any) -> bool:
    return value is not None and value == other
