"""What a run will take: CPU hours and hours by stage, bytes on disk and memory, from the rates of this machine."""

from collections.abc import Mapping
from typing import NamedTuple

from components.base.errors import InputError
from pipeline.plan.engine_costs import ENGINES, pays_from, spread
from pipeline.plan.rates import COMMAND, Rates
from pipeline.plan.stages import STAGES, Stage
from pipeline.plan.workload import EVAL, Workload

_HOUR = 3600
_WEIGHT = 4  # bytes of a number of a table in a SavedModel
_TRAINED = 12  # bytes of it in a checkpoint and in the Keras model: the number and the two moments of Adam
_IN_TRAINING = 13  # bytes of it in memory, as `python -m benchmarks.speed.table_size` measured it at 5·10⁷ rows
_AT_THE_END = 25  # while din.keras is written: the weights of the best epoch have been read beside those that were trained
_BEST_READ, _TOGETHER = 18, 18  # as `split_table_size`: of a worker's own rows; and of whole tables where they are put together and written
_ID = 10  # bytes of an id in the file of a vocabulary
_DISTINCT = 100  # bytes of memory of an id while vocabularies are counted
_EVALUATED, _BOOTSTRAPPED = 188, 400  # bytes of an impression of eval/, as `din bench evaluation --impressions 2000000` measured them
RUN = "run"  # the unit of fixed parts


class Engine(NamedTuple):
    """An engine that is asked about."""

    name: str
    cores: int


class StageCost(NamedTuple):
    """The cost of a stage.

    Attributes:
        stage: The stage.
        cpu_seconds: On one machine.
        fixed: How many of them do not grow with the data.
        hours: On this machine.
        engine_hours: With the engine; None without one.
    """

    stage: Stage
    cpu_seconds: float
    fixed: float
    hours: float
    engine_hours: float | None


class Plan(NamedTuple):
    """The estimate.

    Attributes:
        work: What was asked about.
        engine: The engine, if any.
        sources: The stages that make the data, before the run.
        stages: The stages of the run.
        disk: Bytes by what takes them: of the first run, and of each further one on the same data.
        memory: Peak bytes by stage and what grows in it.
        pays_from: From how many impressions on the engine takes less time; None if it never does, or without an engine.
    """

    work: Workload
    engine: Engine | None
    sources: list[StageCost]
    stages: list[StageCost]
    disk: dict[str, tuple[float, float]]
    memory: dict[str, float]
    pays_from: float | None


def cost(rate: Mapping[str, float], amounts: Mapping[str, float]) -> float:
    """The sum over the units of what one costs times how many there are, with one run."""
    counted = {RUN: 1.0, **amounts}
    return sum(each * counted.get(unit, 0.0) for unit, each in rate.items())


def make_plan(work: Workload, rates: Rates, engine: Engine | None, sources: tuple[Stage, ...] = ()) -> Plan:
    """Estimates a run.

    Raises:
        InputError: The rates lack a stage, as those of another version.
    """
    stages = [_stage_cost(stage, work, rates, engine) for stage in STAGES]
    on_engine = [found for found in stages if found.stage.on_engine]
    pays = None
    if engine:
        grown = [(found.cpu_seconds - found.fixed) / work.impressions for found in on_engine]
        here = sum(each / rates.stages[found.stage.name].cores for each, found in zip(grown, on_engine, strict=True))
        pays = pays_from(here, sum(grown), len(on_engine), ENGINES[engine.name], engine.cores)
    made = [_stage_cost(stage, work, rates, engine) for stage in sources]
    return Plan(work, engine, made, stages, _disk(work, rates), _memory(work, rates), pays)


def _stage_cost(stage: Stage, work: Workload, rates: Rates, engine: Engine | None) -> StageCost:
    if stage.name not in rates.stages:
        raise InputError(f"the rates of this machine lack the stage {stage.name!r}, as those of another version: measure with {COMMAND}.")
    rate = rates.stages[stage.name]
    seconds, fixed = cost(rate.seconds, stage.amounts(work)), rate.seconds.get(RUN, 0.0)
    hours = seconds / rate.cores / _HOUR
    spread_hours = None
    if engine:
        on = spread(fixed / rate.cores, seconds - fixed, work.impressions, ENGINES[engine.name], engine.cores) / _HOUR
        spread_hours = on if stage.on_engine else hours
    return StageCost(stage, seconds, fixed, hours, spread_hours)


def _disk(work: Workload, rates: Rates) -> dict[str, tuple[float, float]]:
    """Bytes on disk of the first run, and of each further run of the same data."""
    data, floats = cost(rates.bytes["data"], work.read(1)), work.table_floats
    model, keras, ids = _WEIGHT * floats, _TRAINED * floats, _ID * sum(work.rows.values())
    other = cost(rates.bytes["run"], {})
    return {
        "data": (data, 0.0),
        "copy of the data (ImportExampleGen)": (data, 0.0),
        "eval/ with slice columns (SliceColumns)": (cost(rates.bytes["sliced"], work.read(EVAL)), 0.0),
        "model of the run: SavedModel, Keras, vocabularies": (model + keras + 2 * ids, model + keras + 2 * ids),
        "pushed version": (model + ids, model + ids),
        "checkpoints, only while it trains": (2 * keras + 2 * model, 2 * keras + 2 * model),
        "graphs, reports, metadata": (other, other),
    }


def _memory(work: Workload, rates: Rates) -> dict[str, float]:
    """Peak bytes of the process, by the stages whose memory grows; in Trainer those of the first worker, which writes the model."""
    process = cost(rates.memory, {"values": work.values})
    tables, judged, rows = work.table_floats, EVAL * work.impressions, sum(work.rows.values())
    workers, split = work.config.training.workers, work.split_floats
    read = min(work.packed_mb, work.config.training.memory_mb) * 1e6 / workers
    return {
        "any stage: the process with its blocks of impressions": process,
        "Transform: each distinct id": process + _DISTINCT * rows,
        "Trainer: impressions in memory, tables": process + read + _IN_TRAINING * (tables - split + split / workers),
        "Trainer: tables while the model is written": process + _AT_THE_END * (tables - split) + (_BEST_READ / workers + _TOGETHER) * split,
        "Evaluator: eval/": process + _EVALUATED * judged + _WEIGHT * tables,
        "UserBootstrap: eval/": process + _BOOTSTRAPPED * judged + _WEIGHT * tables,
    }
