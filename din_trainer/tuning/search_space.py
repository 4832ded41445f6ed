"""The space of a search: which keys of the configuration are tried with which values. It is checked when a configuration is read."""

import difflib
import json
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from din_trainer.config import DINConfig, ModelConfig, TrainingConfig
from din_trainer.frozen import Frozen

_LARGEST = 1e12
_MOST_CHOICES = 1000
_SECTIONS = {"model": ModelConfig, "training": TrainingConfig}

# Keys that say how a training runs or what it starts from. A search over the seed would choose by chance.
_NOT_SEARCHED = {
    f"training.{name}"
    for name in ("seed", "deterministic", "memory_mb", "workers", "split_rows", "warm_start", "warm_moments", "new_ids", "forget_after")
}


class Range(Frozen):
    """All numbers between two, which belong to the range."""

    min: float = Field(ge=-_LARGEST, le=_LARGEST)
    max: float = Field(ge=-_LARGEST, le=_LARGEST)
    scale: Literal["linear", "log"] = Field("linear", description="log: each magnitude is drawn equally often.")

    @model_validator(mode="after")
    def _check(self) -> "Range":
        if self.min >= self.max:
            raise ValueError(f"min ({self.min:g}) must be below max ({self.max:g})")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"scale = 'log' needs a min above 0, not {self.min:g}")
        return self


Choices = tuple[Any, ...]
Space = dict[str, Range | Choices]  # by the dotted key of the configuration
Values = dict[str, Any]  # a setting: as KerasTuner keeps it, a number of a range, or JSON text for one of several choices

DEFAULT_SPACE: Space = {
    "training.learning_rate": Range(min=3e-4, max=1e-2, scale="log"),
    "model.embedding_scale": Range(min=1e-4, max=0.1, scale="log"),
    "model.dropout": Range(min=0.0, max=0.5),
    "training.regularization": (0.0, 0.1, 1.0),
    "model.hidden": ([64, 32], [128, 64, 32], [256, 128, 64]),
}


def parse_space(raw: Any) -> Space:
    """Reads a space as TOML has it: `"training.learning_rate" = {…}`, or the same key as tables in each other.

    Raises:
        ValueError: An entry is neither a range nor a list of values. The message is one clause.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError("it must be a table of keys, each with a range or a list of values: name at least one")
    return {key: _parse_entry(key, entry) for key, entry in _entries(raw)}


def _entries(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a table and of the tables in it, which are those that have no key of a range."""
    for name, entry in table.items():
        if isinstance(entry, Mapping) and entry and not entry.keys() & Range.model_fields.keys():
            yield from _entries(entry, f"{path}{name}.")
        else:
            yield f"{path}{name}", entry


def _parse_entry(key: str, entry: Any) -> Range | Choices:
    if isinstance(entry, list | tuple):
        if not 1 <= len(entry) <= _MOST_CHOICES:
            raise ValueError(f"{key} has {len(entry)} values: name from 1 to {_MOST_CHOICES:,}")
        if unknown := next((value for value in entry if not isinstance(value, bool | int | float | str | list | tuple | Mapping)), None):
            raise ValueError(f"{key} has the value {unknown}, which no key takes")
        return tuple(entry)
    if not isinstance(entry, Range | Mapping):
        raise ValueError(f"{key} is {entry!r}: give a range, such as {{ min = 0.1, max = 0.5 }}, or a list of values")
    try:
        return Range.model_validate(entry)
    except ValidationError as error:
        raise ValueError(f"{key}: {_first_message(error)}") from error


def check_space(space: Space, config: DINConfig) -> None:
    """Checks that the configuration has the keys and accepts the values of a space, each with its own other values.

    Raises:
        ValueError: It does not. The message is one clause, which names the key.
    """
    for key, entry in space.items():
        annotation = _annotation(key)
        if isinstance(entry, Range):
            _check_range(key, entry, annotation, own_value(config, key))
        ends = [_number(annotation, end) for end in (entry.min, entry.max)] if isinstance(entry, Range) else entry
        for value in ends:
            try:
                with_values(config, {key: value if isinstance(entry, Range) else json.dumps(value)})
            except ValidationError as error:
                raise ValueError(f"tuner.space: {key} = {_short(value)} is refused: {_first_message(error)}") from error


def _check_range(key: str, entry: Range, annotation: Any, own: Any) -> None:
    """The algorithms need the number of the first trial on the scale of the range, though not between its ends."""
    if annotation not in (int, float):
        raise ValueError(f"tuner.space: {key} is not a number, so it has no range: give a list of values")
    if own is None:
        raise ValueError(f"tuner.space: {key} is not set, so the first trial has no number there: set it, or give a list of values")
    if entry.scale == "log" and own <= 0:
        raise ValueError(f"tuner.space: {key} is {own}, which has no place on a log scale: set it above 0, or give a list of values")


def _annotation(key: str) -> Any:
    """The type of a key, without None.

    Raises:
        ValueError: There is no such key, or it cannot be searched.
    """
    if key.partition(".")[0] == "features":
        raise ValueError(f"tuner.space: {key} changes what Transform makes, so it cannot be searched: name keys of model and training")
    if key in _NOT_SEARCHED:
        raise ValueError(f"tuner.space: {key} cannot be searched, because it says how the training runs: remove it")
    here: Any = None
    sections: Mapping[str, Any] = _SECTIONS
    for part in key.split("."):
        if part not in sections:
            known = sorted(set(_keys()) - _NOT_SEARCHED)
            near = difflib.get_close_matches(key, known, 1)
            raise ValueError(f"tuner.space: there is no key {key!r}: {f'the nearest one is {near[0]!r}' if near else f'there are {known}'}")
        here = sections[part] if sections is _SECTIONS else sections[part].annotation
        sections = here.model_fields if _is_table(here) else {}
    if _is_table(here):
        raise ValueError(f"tuner.space: {key} is a table: name a key in it")
    some = set(get_args(here)) - {NoneType}
    return some.pop() if NoneType in get_args(here) and len(some) == 1 else here


def _keys() -> Iterator[str]:
    """All keys of model and training."""
    waiting: list[tuple[str, Any]] = list(_SECTIONS.items())
    while waiting:
        key, table = waiting.pop()
        for name, field in table.model_fields.items():
            if _is_table(field.annotation):
                waiting.append((f"{key}.{name}", field.annotation))
            else:
                yield f"{key}.{name}"


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def is_whole(key: str) -> bool:
    """Whether a key of a range takes whole numbers only."""
    return _annotation(key) is int


def _number(annotation: Any, value: float) -> float | int:
    """A value as its key has it: a whole number without a decimal point for a key of whole numbers."""
    return int(value) if annotation is int and value == int(value) else value


def own_value(config: DINConfig, key: str) -> Any:
    """The value that a configuration has itself, as JSON."""
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def own_values(config: DINConfig, space: Space) -> Values:
    """The setting of a configuration itself."""
    return {key: _kept(config, key, entry) for key, entry in space.items()}


def _kept(config: DINConfig, key: str, entry: Range | Choices) -> Any:
    value = own_value(config, key)
    return value if isinstance(entry, Range) else json.dumps(value)


def choices_of(config: DINConfig, key: str, choices: Choices) -> list[str]:
    """The choices of a key as JSON, each in the form that the key gives it, with the configuration's own value among them."""
    forms = [_kept(with_values(config, {key: json.dumps(value)}), key, choices) for value in choices]
    return list(dict.fromkeys([*forms, _kept(config, key, choices)]))


def plain(values: Values) -> dict[str, Any]:
    """A setting with the values that its keys have in a configuration."""
    return {key: json.loads(value) if isinstance(value, str) else value for key, value in values.items()}


def searches_regularization(space: Space, config: DINConfig) -> bool:
    """Whether a search tries a regularisation above 0."""
    key = "training.regularization"
    entry = space.get(key, (0,))
    return entry.max > 0 if isinstance(entry, Range) else any(json.loads(value) > 0 for value in choices_of(config, key, entry))


def with_values(config: DINConfig, values: Values) -> DINConfig:
    """Returns a configuration with another setting.

    Raises:
        ValidationError: The configuration refuses a value, or the values do not fit together.
    """
    return DINConfig.model_validate(put_values(config.model_dump(mode="json"), plain(values)))


def put_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration, as JSON, with values of dotted keys in it."""
    result = json.loads(json.dumps(config))
    for key, value in values.items():
        *path, name = key.split(".")
        table = result
        for part in path:
            table = table[part]
        table[name] = value
    return result


def values_text(values: Mapping[str, Any]) -> str:
    """Formats plain values of a setting in one line."""
    return ", ".join(f"{key} {value_text(value)}" for key, value in values.items())


def value_text(value: Any) -> str:
    """Formats a value of a setting; a number has four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _first_message(error: ValidationError) -> str:
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ")
    return f"{problem['loc'][0]}: {message}" if error.title == Range.__name__ and problem["loc"] else message


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
