"""`manifest.json` beside a data set: what is read from it, and how it is checked."""

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.base.errors import DataError

MANIFEST = "manifest.json"

_Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class Oracle(BaseModel):
    """The metrics of the true probabilities on eval/; null where they are not known."""

    model_config = ConfigDict(extra="forbid")

    auc: _Share | None = None
    gauc: _Share | None = None
    log_loss: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None


class Manifest(BaseModel):
    """What a run reads from a manifest. Everything else in it is for people."""

    oracle: Oracle | None = None  # of the first label
    oracle_by_label: dict[str, Oracle] | None = None  # where there are several labels: of all, the first one too
    examples: Any = None  # impressions by split; not checked, since other tools may mean something else by it


def read_manifest(data: Path) -> Manifest:
    """Reads the manifest of a data set. One that is not there says nothing.

    Raises:
        DataError: It cannot be read, or a value in it is wrong.
    """
    file = data / MANIFEST
    if not file.exists():
        return Manifest()
    if not file.is_file():
        raise DataError(f"{file} is no file: delete it, or write a manifest there.")
    try:
        return Manifest.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DataError(f"{file}{_first(error)}: correct it, or delete the file.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({error}): correct it, or delete it.") from error


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    message = "this must be a JSON object" if problem["type"] == "model_type" else problem["msg"]
    return f": {place}: {message} (received {reprlib.repr(problem['input'])})" if place else f": {message}"


def read_oracle(data: Path) -> dict[str, float | None] | None:
    """Returns the metrics of the true probabilities on eval/, of the first label, from the manifest; None if it has none.

    Raises:
        DataError: As for `read_manifest`.
    """
    oracle = read_manifest(data).oracle
    return None if oracle is None else oracle.model_dump(exclude_unset=True)


def read_oracle_by_label(data: Path) -> dict[str, dict[str, float | None]] | None:
    """Returns the same for each label, by its name; None if the manifest does not have several.

    Raises:
        DataError: As for `read_manifest`.
    """
    by_label = read_manifest(data).oracle_by_label
    return None if by_label is None else {label: oracle.model_dump(exclude_unset=True) for label, oracle in by_label.items()}


def differing_counts(data: Path, found: Mapping[str, int]) -> list[str]:
    """One sentence for each split that has another number of impressions than its manifest says, as after the loss of a shard.

    Args:
        data: The data set.
        found: Number of impressions by split.

    Raises:
        DataError: As for `read_manifest`.
    """
    said = read_manifest(data).examples
    said = said if isinstance(said, dict) else {}
    return [
        f"{data / split} holds {count:,} impressions, but {MANIFEST} says {said[split]:,}: is a file missing, or one too many?"
        for split, count in found.items()
        if type(said.get(split)) is int and said[split] != count
    ]
