"""Reads a configuration from `default.toml`, a named or given TOML file that overrides it, and `--set key=value`, which overrides both."""

import contextlib
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from components.base.errors import InputError
from din_trainer.config import DINConfig
from din_trainer.frozen import Frozen
from din_trainer.kinds import KINDS, WRONG_KIND
from pipeline.configuration.beam_config import is_secret_option
from pipeline.configuration.pipeline_config import PipelineConfig

T = TypeVar("T", bound=Frozen)


_NAMED = "pipeline.configuration.named"  # the package with the shipped configurations
_SECRET = "metadata.url"  # its value may hold a password, so no message repeats it


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, merged table by table."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping):
            result[key] = _merge(result[key] if isinstance(result.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


def _without_removed(features: dict[str, Any]) -> dict[str, Any]:
    """The features without those that are set to `false`. Those of events are a level deeper, below the name of their sequence."""

    def kept(table: Any) -> Any:
        return {name: value for name, value in table.items() if value is not False} if isinstance(table, dict) else table

    result = {section: kept(table) for section, table in features.items()}
    if isinstance(events := result.get("events"), dict):
        result["events"] = {sequence: kept(fields) for sequence, fields in events.items()}
    return result


def _parse_setting(setting: str) -> dict[str, Any]:
    """`training.epochs=3` as a nested dict. The value is TOML; if it is not valid TOML, it is text."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {setting!r} is not of the form key=value: write, for example, --set training.epochs=3.")
    value: Any = text
    if "\n" not in text:  # a second line could set another key
        with contextlib.suppress(tomllib.TOMLDecodeError):
            value = tomllib.loads(f"value = {text}")["value"]
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def _named(setting: str) -> str:
    """The option as a message names it, without a value that may be a secret."""
    key = setting.partition("=")[0].strip()
    return f"--set {key}=…" if key == _SECRET or is_secret_option(key) else f"--set {setting}"


def config_names() -> list[str]:
    """The names of the configurations that ship with the package."""
    return sorted(file.name.removesuffix(".toml") for file in resources.files(_NAMED).iterdir() if file.name.endswith(".toml"))


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error}): a configuration is a TOML file in UTF-8.") from error


def _read_toml(source: str) -> dict[str, Any]:
    if source in config_names():
        text = (resources.files(_NAMED) / f"{source}.toml").read_text()
    elif Path(source).is_file():
        text = _read_text(Path(source))
    else:
        near = difflib.get_close_matches(source, config_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(config_names())}, or give a TOML file."
        raise InputError(f"No configuration is called {source!r}: {hint}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML ({error}): correct it there.") from error


def _choices(annotation: Any) -> dict[str, type[BaseModel]]:
    """The tables that a key can hold, by their kind; empty for a key without a choice of kinds."""
    if get_origin(annotation) is not Annotated:
        return {}
    members = [get_args(member) for member in get_args(get_args(annotation)[0])]
    return {member[1].tag: member[0] for member in members if len(member) > 1 and isinstance(member[1], Tag)}


class _Place(NamedTuple):
    """Where an error is.

    Attributes:
        path: The key, part by part, as the user wrote it.
        kind: The kind of the feature that has the key; empty for a key of no feature.
        known: The keys of its table.
        elsewhere: The kinds of features that have a key of this name, for a key of a feature.
    """

    path: list[str]
    kind: str
    known: list[str]
    elsewhere: list[str]


def _place(section: type[BaseModel], problem: Mapping[str, Any]) -> _Place:
    """Finds the key of an error. Pydantic's own location also has the kind of each feature, as if it were a key."""
    here: Any = section
    table: Any = section
    parts: list[str] = []
    kind, choices = "", dict[str, type[BaseModel]]()
    for part in problem["loc"]:
        if found := _choices(here):
            kind, choices, here = part, found, found[part]
            continue
        parts.append(str(part))
        table = here
        if get_origin(here) is dict:  # a table of tables, with names that the user chooses
            here = get_args(here)[1]
        else:
            fields = getattr(here, "model_fields", {})
            here = fields[part].annotation if part in fields else None
    parts += ["kind"] * (problem["type"] == WRONG_KIND)
    elsewhere = [name for name, other in choices.items() if parts[-1] in other.model_fields]
    return _Place(parts, kind, list(getattr(table, "model_fields", ())), elsewhere)


def _first(error: ValidationError) -> Any:
    """The error to report: an unknown key, since a key that lacks may be the one that is written wrong; otherwise the first."""
    problems = error.errors()
    return next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])


_TABLES = {"model_type", "dict_type", "model_attributes_type"}  # pydantic's error types for a value that must be a table


def _explain(error: ValidationError, section: type[BaseModel], source: str) -> InputError:
    """The first error of pydantic, as one sentence."""
    problem = _first(error)
    path, kind, known, elsewhere = _place(section, problem)
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], known, 1, cutoff=0.5)
        hint = f"did you mean {'.'.join([*path[:-1], near[0]])!r}?" if near else f"known here are {', '.join(known)}."
        if elsewhere:
            hint = f"features of kind {' or '.join(map(repr, elsewhere))} have it."
        of = f" of a feature of kind {kind!r}" if kind else ""
        return InputError(f"{source}: there is no key {key!r}{of}: {hint}")
    if problem["type"] in _TABLES:
        return InputError(f"{source}: {key} is a table, not {problem['input']!r}: set a key in it (docs/configuration.md lists the keys).")
    if problem["type"] == WRONG_KIND:
        written = problem["input"]["kind"]
        near = difflib.get_close_matches(str(written), KINDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KINDS)}."
        return InputError(f"{source}: {key} is {written!r}, which is no kind of feature: {hint}")
    where = f"{key}: " if key else ""
    message = problem["msg"].removeprefix("Value error, ")
    received = f" (received {problem['input']!r})" if not isinstance(problem["input"], dict) and key != _SECRET else ""
    return InputError(f"{source}: {where}{message}{received}.")


def parse_section(section: type[T], values: dict[str, Any], source: str) -> T:
    """Checks the values of one section.

    Raises:
        InputError: As `load_config`.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise _explain(error, section, source) from error


def _joined(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    raw: dict[str, Any] = reduce(_merge, layers, dict[str, Any]())
    if isinstance(raw.get("features"), dict):
        raw["features"] = _without_removed(raw["features"])
    return raw


def _value_at(layer: Any, path: Iterable[str]) -> Any:
    """The value of a key in a layer; the value around it if that is no table; None if the layer does not set it."""
    for part in path:
        if not isinstance(layer, Mapping):
            return layer
        layer = layer.get(part)
    return layer


def _blamed(error: ValidationError, files: Iterable[Mapping[str, Any]], settings: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the `--set` options that caused an error; none if the files are wrong without them."""
    path = _place(PipelineConfig, _first(error)).path
    touching = {option: value for option, layer in settings.items() if (value := _value_at(layer, path)) is not None}
    if direct := [option for option, value in touching.items() if not isinstance(value, Mapping)]:
        return direct[-1:]
    try:
        PipelineConfig.model_validate(_joined(files))
    except ValidationError:
        return []
    return list(touching or settings)


def load_config(source: str | None = None, settings: Iterable[str] = ()) -> PipelineConfig:
    """Reads and checks a configuration.

    Args:
        source: The name of a shipped configuration or the path of a TOML file. It overrides `default.toml`.
        settings: `key=value` pairs that override both, such as `training.epochs=3`.

    Raises:
        InputError: There is no such configuration, a key is unknown (the message suggests the nearest known one) or a value is wrong.
    """
    files = [DINConfig().model_dump(mode="python"), _read_toml("default"), _read_toml(source) if source else {}]
    options = {_named(setting): _parse_setting(setting) for setting in settings}
    try:
        return PipelineConfig.model_validate(_joined([*files, *options.values()]))
    except ValidationError as error:
        raise _explain(error, PipelineConfig, " ".join(_blamed(error, files, options)) or source or "default") from error
