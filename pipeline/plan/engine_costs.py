"""What an engine adds to the stages that go through Beam, and from how many impressions on it pays."""

import bisect
import math
from typing import NamedTuple

from pipeline.datasets.layout import SHARD_SIZE


class EngineCost(NamedTuple):
    """The cost of an engine. `python -m benchmarks.plan.engine_figures` computes it from runs on clusters.

    Attributes:
        job_seconds: What each Beam job takes before and after its work.
        factor: CPU seconds on the engine for each one in this process.
        source: Where the two figures come from.
    """

    job_seconds: float
    factor: float
    source: str = ""


_SOURCE = "python -m benchmarks.plan.engine_figures, on runs of 200,000 and 2,000,000 impressions with two workers on one machine"
_FLINK = EngineCost(20, 1.9, _SOURCE)
ENGINES = {
    "flink": _FLINK,
    "spark": EngineCost(28, 2.0, _SOURCE),
    "dataflow": _FLINK._replace(source="never run: the figures of flink"),
    "portable": _FLINK._replace(source="not measured: the figures of flink"),
}


def spread(fixed: float, growing: float, impressions: int, engine: EngineCost, cores: int) -> float:
    """The seconds of a stage on an engine: the client's fixed part, the job's, and the work by cores. A core works on whole shards.

    Args:
        fixed: CPU seconds of the client, which do not grow with the data.
        growing: CPU seconds of the work in one process.
        impressions: The impressions of the run.
        engine: The engine.
        cores: Its cores.
    """
    return fixed + engine.job_seconds + engine.factor * growing / min(cores, shards(impressions))


def shards(impressions: int) -> int:
    """The shards of a data set that `din import` or `din synth` writes."""
    return max(impressions // SHARD_SIZE, 1)


def pays_from(here: float, work: float, jobs: int, engine: EngineCost, cores: int) -> float | None:
    """From how many impressions on the engine takes less time than one process; None if it never does.

    Both times grow with the impressions n: here · n in one process, and jobs · job_seconds + factor · work · n / used on the engine, where
    `used` cores have a shard. The time on the engine falls where a further core gets one, so each number of cores is looked at.

    Args:
        here: Seconds of all stages on the engine for one more impression, in one process.
        work: The same in CPU seconds.
        jobs: How many of these stages there are.
        engine: The engine.
        cores: Its cores.
    """

    def equal(used: int) -> float:
        saved = here - engine.factor * work / used
        return jobs * engine.job_seconds / saved if saved > 0 else math.inf

    used = 1 + bisect.bisect_left(range(1, cores), True, key=lambda used: equal(used) < (used + 1) * SHARD_SIZE)
    found = max(equal(used), used * SHARD_SIZE if used > 1 else 0)
    return found if found < math.inf else None
