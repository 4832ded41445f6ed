"""The local runner, with a pipeline of one node."""

import contextlib
import signal
import threading

import absl.logging
import pytest
from tfx.dsl.component.experimental.annotations import Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from pipeline import terminal
from pipeline.runners.local import run_locally


@component
def Node(ending: Parameter[str]) -> None:
    """Ends in one of several ways."""
    if ending == "interrupt":
        raise KeyboardInterrupt
    if ending == "hidden interrupt":
        raise RuntimeError("a callback failed") from KeyboardInterrupt()
    if ending.startswith("swallowed"):
        with contextlib.suppress(BaseException):  # as Keras does
            signal.raise_signal(signal.SIGTERM)
    if ending == "swallowed, then an error":
        raise ValueError("weights are missing")
    if ending == "error":
        raise ValueError("no such feature")


class Calls(list):
    """A listener that keeps its calls."""

    def start(self, step):
        self.append(f"start {step}")

    def mark_cached(self):
        self.append("cached")

    def finish(self):
        self.append("finish")


@pytest.fixture
def run(tmp_path):
    """A function that runs the node, and checks that no log handler is left behind."""

    def run(ending, calls, run_id="first"):
        pipeline = Pipeline(
            pipeline_name="one-node",
            pipeline_root=str(tmp_path),
            components=[Node(ending=ending)],
            enable_cache=True,
            metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
        )
        handlers = list(absl.logging.get_absl_logger().handlers)
        try:
            run_locally(pipeline, run_id, calls)
        finally:
            assert absl.logging.get_absl_logger().handlers == handlers

    return run


def test_the_listener_is_called_at_the_start_for_the_cache_and_at_the_end(run):
    first, second = Calls(), Calls()
    run("well", first)
    run("well", second, run_id="second")
    assert first == ["start Node", "finish"]
    assert second == ["start Node", "cached", "finish"]


@pytest.mark.parametrize("ending", ["interrupt", "hidden interrupt"])
def test_an_interrupt_is_raised_as_such(run, ending):
    calls = Calls()
    with pytest.raises(KeyboardInterrupt):
        run(ending, calls)
    assert calls == ["start Node"]


@pytest.mark.parametrize("ending", ["swallowed", "swallowed, then an error"])
def test_an_interrupt_that_a_library_swallows_is_raised_before_the_result_is_recorded(run, ending, monkeypatch):
    """Keras swallowed SIGTERM while it loaded a model, without some weights. The gate's refusal was then in the cache for ever."""
    monkeypatch.setattr(terminal, "_INTERRUPTED", threading.Event())
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    terminal.interrupt_on_sigterm()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(ending, Calls())
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    monkeypatch.setattr(terminal, "_INTERRUPTED", threading.Event())
    monkeypatch.setattr(signal, "raise_signal", lambda _: None)
    if ending == "swallowed":
        calls = Calls()
        run(ending, calls, run_id="second")
        assert calls == ["start Node", "finish"]  # not from the cache


def test_an_error_of_a_node_is_raised_as_it_is(run):
    calls = Calls()
    with pytest.raises(ValueError, match=r"^no such feature$"):
        run("error", calls)
    assert calls == ["start Node"]
