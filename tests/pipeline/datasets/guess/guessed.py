"""The mapping that `--guess` writes for a log, read back, for tests."""

import tomllib
from pathlib import Path
from typing import Any

from pipeline.datasets.guess.guess_mapping import guess_mapping

INT_IDS = {"user_id": "int64", "candidate_item_id": "int64"}


def guessed(path: Path) -> dict[str, Any]:
    return tomllib.loads("\n".join(guess_mapping(path)))
