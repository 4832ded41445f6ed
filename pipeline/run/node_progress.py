"""What the terminal shows of the nodes while they run: how many impressions each reads, and what the training says."""

import contextlib
import logging
from collections.abc import Iterator

from pipeline.terminal import Progress


def examples_by_node(examples: dict[str, int]) -> dict[str, int]:
    """Returns how many impressions each node reads, in a run that reads splits.

    Args:
        examples: The impressions of each split.
    """
    whole = dict.fromkeys(("ImportExampleGen", "StatisticsGen", "SliceColumns"), sum(examples.values()))
    judged = dict.fromkeys(("Evaluator", "UserBootstrap"), examples["eval"])
    return {**whole, "Transform": examples["train"] + examples["validation"], **judged}


def examples_by_span(examples: dict[str, int]) -> dict[str, int]:
    """Returns how many impressions each node reads, in a run that reads spans.

    Args:
        examples: The impressions of each span, the newest last.
    """
    by_span = {f"{node}.{span}": count for node in ("ImportExampleGen", "StatisticsGen") for span, count in examples.items()}
    *before, newest = examples.values()
    learnt = sum(before) or newest
    return {**by_span, "Transform": learnt, "SliceColumns": sum(examples.values())}


@contextlib.contextmanager
def training_progress(progress: Progress, notes: list[str]) -> Iterator[None]:
    """Shows what `din_trainer` logs about its training. Warnings are added to the notes as well."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress.detail(record.getMessage())
            if record.levelno >= logging.WARNING:
                notes.append(f"Training: {record.getMessage()}.")

    logger, handler = logging.getLogger("din_trainer.progress"), Handler()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
