"""The progress of a run as JSON lines, for programs that gather logs: `din run --log-format json`.

Each line is an object with `time` (UTC), `level`, `event`, `run_id` and `name`. The events are `run_started`, `step_finished`, `note` and
`run_ended`, whose line has the whole summary.
"""

import json
from datetime import UTC, datetime
from typing import Any, TextIO

from pipeline.console import Console
from pipeline.records.summary import Summary
from pipeline.terminal import Progress, say


class JsonLog(Progress):
    """Writes a line for each finished step, where `Progress` shows it to a person.

    Args:
        stream: Where the lines go.
        run_id: Stands in each line.
        name: Stands in each line.
    """

    def __init__(self, stream: TextIO, run_id: str, name: str):
        super().__init__(Console(file=stream, quiet=True))
        self._stream = stream
        self._run = {"run_id": run_id, "name": name}
        self._write("run_started")

    def end(self, summary: Summary) -> None:
        """Writes the notes of the run, and how it ended."""
        for note in summary.notes:
            self._write("note", "warning", message=note)
        self._write("run_ended", "error" if summary.exit_code else "info", summary=summary.as_json())

    def _print_finished(self, step: str, seconds: float, detail: str) -> None:
        cached, examples = step in self.cached, self.examples.get(step)
        self._write("step_finished", step=step, seconds=round(seconds, 3), cached=cached, examples=examples, detail=detail or None)

    def _write(self, event: str, level: str = "info", **fields: Any) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        say(json.dumps({"time": time, "level": level, "event": event, **self._run, **fields}), self._stream)
