"""The log of a long measurement: JSON lines, so that a later call goes on where an earlier one ended."""

import json
from pathlib import Path
from typing import Any


def read_log(log: Path) -> list[dict[str, Any]]:
    """Returns the entries of a log. A last line that was cut off when the measurement was killed is left out."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(log: Path, entry: dict[str, Any]) -> None:
    """Adds an entry, in place of a cut last line if there is one."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a+b") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.write(json.dumps(entry).encode() + b"\n")
