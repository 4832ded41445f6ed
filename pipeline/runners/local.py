"""Runs a TFX pipeline in this process, node after node, and reports each node to a listener."""

import logging
from typing import Protocol

import absl.logging
from tfx.dsl.compiler import compiler
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.base.errors import causes
from components.base.tfx_pins import node_event, quick_beam_graphs, substitute_run_id
from pipeline.terminal import raise_if_interrupted


class Listener(Protocol):
    """What is called as nodes start and end; `mark_cached` comes between the two, for a node whose result is in TFX's cache."""

    def start(self, step: str) -> None: ...
    def mark_cached(self) -> None: ...
    def finish(self) -> None: ...


class _NodeEvents(logging.Handler):
    """Calls the listener when LocalDagRunner logs that a node starts, is cached or ends."""

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
        elif event.kind == "computed":
            raise_if_interrupted()  # the result may be wrong: it must not be recorded and cached
        else:
            self._listener.finish()


def run_locally(pipeline: Pipeline, run_id: str, listener: Listener) -> None:
    """Runs the nodes one after another.

    Args:
        pipeline: The pipeline.
        run_id: The name of the run in the metadata store.
        listener: Is called as each node starts and ends.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
        Exception: What the failing node raised; the nodes after it do not run.
    """
    ir = compiler.Compiler().compile(pipeline)
    substitute_run_id(ir, run_id)
    logger = absl.logging.get_absl_logger()
    handler = _NodeEvents(listener)
    absl.logging.set_verbosity(absl.logging.INFO)
    logger.addHandler(handler)
    try:
        with quick_beam_graphs():
            LocalDagRunner().run_with_ir(ir)
    except Exception as error:
        raise_if_interrupted()
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):
            raise KeyboardInterrupt from error  # Beam hides it in a RuntimeError
        raise
    finally:
        logger.removeHandler(handler)
