"""The stages of a run as its user sees them: the nodes that each is made of, what each reads, and where it runs."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.plan.workload import EVAL, TRAIN, VALIDATION, Amounts, Workload


class Stage(NamedTuple):
    """A stage.

    Attributes:
        name: As it is shown.
        nodes: The steps of `din run` that it is made of; none if it is a part of another stage's step.
        on_engine: Whether its records go through Beam, so that an engine spreads them over its cores.
        amounts: Its work, without the fixed part.
    """

    name: str
    nodes: tuple[str, ...]
    on_engine: bool
    amounts: Callable[[Workload], Amounts]


def _reads(share: float) -> Callable[[Workload], Amounts]:
    return lambda work: work.read(share)


def _trainer_reads(work: Workload) -> Amounts:
    """Training from memory reads once, other training in each epoch."""
    once = work.read(TRAIN + VALIDATION)
    times = 1 if work.in_memory else work.config.training.epochs
    return {unit: times * amount for unit, amount in once.items()}


def _epochs(work: Workload) -> Amounts:
    return {unit: work.config.training.epochs * amount for unit, amount in work.epoch.items()}


def _scored_again(work: Workload) -> Amounts:
    return {"impressions": work.drawn, "values": work.drawn * work.values} if work.config.evaluation.importance.impressions else {}


def _fixed(work: Workload) -> Amounts:
    return {}


SYNTH, IMPORT = "din synth", "din import"
EPOCHS, READ = "Trainer: epochs", "Trainer: read and export"

STAGES = (
    Stage("check data", ("check data", "start TensorFlow"), False, _reads(1)),
    Stage("ImportExampleGen", ("ImportExampleGen", "ImportSchemaGen"), False, _reads(1)),
    Stage("StatisticsGen", ("StatisticsGen",), True, _reads(1)),
    Stage("gates of the data", ("ExampleValidator", "DataGate", "DriftValidator", "DriftGate"), False, _reads(1)),
    Stage("SliceColumns", ("SliceColumns",), False, _reads(TRAIN + EVAL)),
    Stage("Transform", ("Transform",), True, _reads(TRAIN)),
    Stage(READ, ("Trainer",), False, _trainer_reads),
    Stage(EPOCHS, (), False, _epochs),
    Stage("Evaluator", ("Evaluator",), True, _reads(EVAL)),
    Stage("FeatureImportance", ("FeatureImportance",), False, _scored_again),
    Stage("UserBootstrap", ("UserBootstrap",), False, _reads(EVAL)),
    Stage("checks of the export", ("Sameness", "InfraGate", "Verdict"), False, _fixed),
    Stage("push and report", ("Pusher", "report"), False, _fixed),
)
SOURCES = (Stage(SYNTH, (), False, _reads(1)), Stage(IMPORT, (), False, _reads(1)))
BY_NAME = {stage.name: stage for stage in (*STAGES, *SOURCES)}
