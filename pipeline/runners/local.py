"""Runs a TFX pipeline in this process, telling what happens as it does."""

import logging
from typing import Protocol

import absl.logging
from tfx.dsl.compiler import compiler
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.base.errors import causes
from components.base.pins import node_event, substitute_run_id


class Listener(Protocol):
    """Is told of each node."""

    def start(self, step: str) -> None: ...
    def mark_cached(self) -> None: ...
    def finish(self) -> None: ...


class _NodeEvents(logging.Handler):
    """Turns what LocalDagRunner logs of each node into calls of a listener."""

    def __init__(self, listener: Listener):
        super().__init__(logging.INFO)
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        event = node_event(record)
        if event is None:
            return
        if event.kind == "start":
            self._listener.start(event.node)
        elif event.kind == "cached":
            self._listener.mark_cached()
        else:
            self._listener.finish()


def run_locally(pipeline: Pipeline, run_id: str, listener: Listener) -> None:
    """Runs node after node.

    Args:
        pipeline: What to run.
        run_id: Its name in the metadata store.
        listener: Is told of each node as it starts and ends.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        Exception: Whatever the failing node raised; nodes after it do not run.
    """
    ir = compiler.Compiler().compile(pipeline)
    substitute_run_id(ir, run_id)
    logger = absl.logging.get_absl_logger()
    handler = _NodeEvents(listener)
    absl.logging.set_verbosity(absl.logging.INFO)
    logger.addHandler(handler)
    try:
        LocalDagRunner().run_with_ir(ir)
    except Exception as error:
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):
            raise KeyboardInterrupt from error  # Beam makes a RuntimeError of it
        raise
    finally:
        logger.removeHandler(handler)
