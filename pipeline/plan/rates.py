"""The rates of this machine: what a unit of work costs in each stage, as `din bench data` measured it, in a file that `din plan` finds."""

import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from din_trainer.frozen import Frozen

FORMAT = 1
COMMAND = "din bench data --rates"

_Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StageRate(Frozen):
    """What a stage costs.

    Attributes:
        seconds: CPU seconds for each unit of `pipeline.plan.workload`; `run` is the fixed part.
        cores: How many cores it kept busy on this machine.
    """

    seconds: dict[str, _Cost]
    cores: float = Field(ge=1, allow_inf_nan=False)


class Rates(Frozen):
    """What was measured, when, where and on what.

    Attributes:
        format: The version of this file's form.
        measured: The day.
        machine: Processor, cores and memory.
        version: That of din-tfx.
        runs: The measured runs, in words.
        waited: The share of their time in which they waited for a core or the disk.
        stages: By the name of the stage.
        bytes: Bytes on disk for each unit, by what takes them.
        memory: Bytes of memory of the process itself (`run`), and for each value that an impression has (`values`), since blocks are read.
    """

    format: int = Field(ge=FORMAT, le=FORMAT)
    measured: str
    machine: str
    version: str
    runs: tuple[str, ...]
    waited: float = Field(ge=0, le=1)
    stages: dict[str, StageRate]
    bytes: dict[str, dict[str, _Cost]]
    memory: dict[str, _Cost]


def rates_file() -> Path:
    """Where the rates of this machine are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "din-tfx" / "rates.json"


def read_rates() -> Rates:
    """Reads the rates of this machine.

    Raises:
        InputError: They were not measured yet, or the file cannot be read.
    """
    file = rates_file()
    try:
        return Rates.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"the rates of this machine are not known ({file} does not exist): measure them with {COMMAND}.") from None
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise InputError(f"{file} cannot be used ({_short(error)}): measure the rates again with {COMMAND}.") from error


def write_rates(rates: Rates) -> Path:
    """Writes the rates of this machine, whole or not at all. Returns the file."""
    file = rates_file()
    write_whole(file, [json.dumps(rates.model_dump(mode="json"), indent=2), "\n"])
    return file


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error) if isinstance(error, OSError) else type(error).__name__
