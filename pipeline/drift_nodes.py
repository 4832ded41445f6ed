"""The nodes that compare the training data with earlier data and with logged requests, and stop the run if it is too far from them."""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from components.base.fingerprint import source_fingerprint
from components.drift_gate import DriftGate
from components.drift_validator import DriftValidator, Rule
from components.request_examples import REQUESTS_SPLIT, RequestExamples
from components.statistics_gen import StatisticsGen
from pipeline.configuration.node_settings import statistics_settings
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.places import Places, RequestLog
from pipeline.runners.beam_options import add_fingerprint


class Compared(NamedTuple):
    """Statistics of one set of impressions.

    Attributes:
        name: In words, for messages.
        statistics: ExampleStatistics.
        split: Which split of them.
    """

    name: str
    statistics: Channel
    split: str


def drift_nodes(
    config: PipelineConfig, places: Places, schema: Channel, data: Sequence[Compared], gates: Sequence[BaseNode]
) -> list[BaseNode]:
    """Returns the nodes that compare the newest data with the data before it, and with logged requests. The last one stops the run.

    Args:
        config: The configuration of the run.
        places: Has the log of requests, and the earlier data that data without a span before it is compared with.
        schema: The schema of the impressions.
        data: The data of the run, span by span, oldest first.
        gates: What must pass before.
    """
    nodes: list[BaseNode] = []
    *before, now = data
    previous = before[-1] if before else None
    if previous is None and places.previous:
        # Brings in the statistics of an earlier run, because data without spans has nothing older to compare with.
        earlier = Importer(source_uri=str(places.previous.statistics), artifact_type=standard_artifacts.ExampleStatistics)
        nodes.append(earlier.with_id("PreviousStatistics"))
        previous = Compared(places.previous.name, earlier.outputs["result"], places.previous.split)
    others = {"previous": previous.statistics} if previous else {}

    requests = places.logged
    if requests:
        # Makes impressions of what was asked in serving, because a model answers well only what is like the data it has learnt from.
        request_examples = RequestExamples(
            log=str(requests.log),
            features=config.features.model_dump_json(),
            fingerprint=requests.fingerprint,
            source_fingerprint=source_fingerprint(RequestExamples),
        )

        # Computes their statistics, as for the training data.
        request_statistics = StatisticsGen(examples=request_examples.outputs["examples"], schema=schema, **statistics_settings(config))
        add_fingerprint(request_statistics.with_id("RequestStatistics"), StatisticsGen)
        nodes += [request_examples, request_statistics]
        others["requests"] = request_statistics.outputs["statistics"]

    # Measures how far each feature is from what it was, because a model that learns from broken data can still pass its thresholds.
    validator = DriftValidator(
        statistics=now.statistics,
        schema=schema,
        settings=json.dumps(_settings(config, now, previous, requests)),
        source_fingerprint=source_fingerprint(DriftValidator),
        **others,
    )
    validator.add_upstream_nodes(gates)

    # Stops the run if a distance is too large, in a node of its own, because a node that fails leaves no figures.
    gate = DriftGate(figures=validator.outputs["figures"], source_fingerprint=source_fingerprint(DriftGate))
    return [*nodes, validator, gate]


def _settings(config: PipelineConfig, now: Compared, previous: Compared | None, requests: RequestLog | None) -> dict[str, Any]:
    bounds: list[tuple[Literal["drift", "skew"], Any]] = [("drift", config.drift), ("skew", config.skew)]
    rules = [Rule(kind, name, bound.measure, bound.at_most, bound.action) for kind, of_kind in bounds for name, bound in of_kind.items()]
    return {
        "name": now.name,
        "split": now.split,
        "previous_name": previous.name if previous else "",
        "previous_split": previous.split if previous else "",
        "requests_name": f"the requests in {requests.log}" if requests else "",
        "requests_split": REQUESTS_SPLIT,
        "rules": [rule._asdict() for rule in rules],
        "presence": config.presence.model_dump(),
        "read": [column.name for column in config.features.columns],
    }
