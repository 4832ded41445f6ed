"""Reads the TOML file of a suite for `din bench quality`: its data sets, models and seeds; and plans its trainings."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from benchmarks.quality.compared_models import ROWS
from components.base.errors import InputError
from din_trainer.frozen import Frozen
from pipeline.configuration.load_config import load_config, parse_section
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.sources.by_name import find_mapping

SET_BY_ROWS = (
    "training.seed",
    "training.regularization",
    "training.optimizer",
    "model.kind",
    "model.history",
    "model.attention_softmax",
    "model.activation",
    "model.interactions",
)


class SuiteData(Frozen):
    """A data set of a suite: its source, how it is imported, and how models are trained on it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="The name of its folder and its rows.")
    title: str
    importer: Literal["movielens", "amazon", "taobao", "sequences", "clicklog"]
    source: str = Field(min_length=1, description="The path in the folder of sources, or in the package.")
    package: str = Field(
        "", pattern=r"^([A-Za-z0-9._-]+==[A-Za-z0-9._]+)?$", description="A wheel that contains the source: name==version."
    )
    mapping: str = Field("", description="For a click log: the name of a shipped mapping, or a TOML file.")
    options: dict[str, Any] = Field(default_factory=dict, description="The settings of the import.")
    config: str = Field(description="The name of a shipped configuration, or a TOML file.")
    settings: tuple[str, ...] = Field((), description="key=value: settings for all models.")
    model_settings: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="key=value: further settings for one model, chosen on validation/."
    )
    published: str = Field("", description="Published figures and their protocol.")

    def settings_of(self, model: str) -> tuple[str, ...]:
        """Returns the settings of a model on this data."""
        return (*ROWS[model].settings, *self.model_settings.get(model, ()))

    @field_validator("model_settings")
    @classmethod
    def _check_model_settings(cls, settings: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name in settings:
            if name not in ROWS:
                raise ValueError(f"no model is called {name!r}: choose from {', '.join(ROWS)}")
        return settings


class Suite(Frozen):
    """A suite: every model is trained on every data set with every seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="The name of the folder of its results.")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    models: tuple[str, ...] = Field(tuple(ROWS), min_length=1)
    data: tuple[SuiteData, ...] = Field(min_length=1)

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        for name in models:
            if name not in ROWS:
                raise ValueError(f"no model is called {name!r}: choose from {', '.join(ROWS)}")
        return tuple(name for name in ROWS if name in models)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed occurs twice: name each seed once")
        return seeds

    def first_seeds(self, count: int | None) -> list[int]:
        """Returns the first `count` seeds of the suite; all for None.

        Raises:
            InputError: `count` is less than 1, or larger than the number of seeds.
        """
        if count is None:
            return list(self.seeds)
        if not 1 <= count <= len(self.seeds):
            raise InputError(
                f"--seeds {count}: the suite {self.name} has {len(self.seeds)} seeds in its file: choose 1 to {len(self.seeds)}."
            )
        return list(self.seeds[:count])

    @field_validator("data")
    @classmethod
    def _check_data(cls, data: tuple[SuiteData, ...]) -> tuple[SuiteData, ...]:
        names = [entry.name for entry in data]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two data sets are called {name!r}: rename one")
        return data


class Planned(NamedTuple):
    """A training that the suite plans. Its result is one row."""

    data: str
    model: str
    seed: int
    config: PipelineConfig

    @property
    def title(self) -> str:
        """The name of the training in the progress."""
        return f"{self.data}, {self.model}, seed {self.seed}"


def suite_names() -> list[str]:
    """Returns the names of the suites that ship with the package."""
    files = resources.files("benchmarks.suite.named").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_suite(source: str) -> Suite:
    """Reads and checks a suite.

    Args:
        source: The name of a shipped suite, or the path of a TOML file.

    Raises:
        InputError: There is no such suite, or it has an unknown key or a bad value.
    """
    if source in suite_names():
        text = (resources.files("benchmarks.suite.named") / f"{source}.toml").read_text()
    elif Path(source).is_file():
        text = _read_text(Path(source))
    else:
        raise InputError(f"--suite: no suite is called {source!r}: name one of {', '.join(suite_names())}, or a TOML file.")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML ({error}): correct it there.") from error
    entries = raw.pop("data", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{source}: data must be a list of tables: begin each with [[data]].")
    data = [parse_section(SuiteData, entry, f"{source}, data set {number}") for number, entry in enumerate(entries, 1)]
    return parse_section(Suite, {"name": Path(source).stem, **raw, "data": data}, source)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 (byte {error.start + 1}): save it as UTF-8.") from error


def check_settings(settings: list[str]) -> None:
    """Checks that the user's settings are none that the seeds and the models of the suite set.

    Raises:
        InputError: A setting is one of them.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key in SET_BY_ROWS:
            raise InputError(f"--set {key}: the seeds and models of the suite set this key: choose them with --seeds and --models.")


def plan(suite: Suite, models: list[str], seeds: list[int], settings: list[str]) -> dict[str, list[Planned]]:
    """Returns all trainings by data set, and checks their configurations.

    Args:
        suite: The suite.
        models: The models that are trained.
        seeds: The seeds of each model.
        settings: key=value: settings that replace those of the suite.

    Raises:
        InputError: A configuration, a mapping or a setting of an import does not exist or has a bad value.
    """
    check_settings(settings)
    for data in suite.data:
        parse_section(ImportSettings, data.options, f"data set {data.name}, options")
        if data.mapping:
            find_mapping(data.mapping)
    return {
        data.name: [
            Planned(
                data=data.name,
                model=model,
                seed=seed,
                config=load_config(data.config, [*data.settings, *settings, *data.settings_of(model), f"training.seed={seed}"]),
            )
            for model in models
            for seed in seeds
        ]
        for data in suite.data
    }
