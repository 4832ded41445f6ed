"""The commands and the configuration keys of the documentation are those of the code."""

import re
import shlex
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

from din_trainer.feature_parts import Lookup, Position
from din_trainer.kinds import Feature
from pipeline.cli.main import make_parser
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig
from tests.conftest import ROOT
from tests.docs.pages import NAMES, PAGES, code_lines

_OPEN = re.compile(r"[\[|…]")  # of a line that shows the form of a command


def commands(page):
    return [line for line in code_lines(page) if re.match(r"(?:din|make) ", line) and not _OPEN.search(line)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_can_be_typed(page):
    parser, targets = make_parser(), re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in commands(page):
        program, *words = shlex.split(re.sub(r"\b[A-Z]{3,}\b(?=$| )", "1", re.sub(r" > \S+$", "", line)))
        if program == "make":
            assert words[0] in targets, line
        else:
            args = parser.parse_args(words)
            if getattr(args, "config", None) in (None, "demo", "movielens"):
                load_config(getattr(args, "config", None), getattr(args, "settings", []))


def keys(section: type[BaseModel], prefix: str = "") -> set[str]:
    """The keys of a table that has a fixed name, dotted. A table that the user names ends in `.`; features of any kind are left out."""
    found = set()
    for name, field in section.model_fields.items():
        key, kind = prefix + name, field.annotation
        if get_origin(kind) is dict:
            inner = get_args(kind)[1]
            found |= keys(inner, f"{key}.NAME.") if inner in (Position, Lookup) else {f"{key}."}
        else:
            found |= keys(kind, f"{key}.") if isinstance(kind, type) and issubclass(kind, BaseModel) else {key}
    return found


TEXT = (ROOT / "docs" / "configuration.md").read_text()


def test_every_configuration_key_is_explained():
    every = sorted(keys(PipelineConfig))
    assert [key for key in every if not key.endswith(".") and f"| `{key}`" not in TEXT] == []
    assert [key for key in every if key.endswith(".") and f"`{key[:-1]}" not in TEXT] == []


def test_every_key_of_every_kind_is_explained():
    """The table of docs/configuration.md names each key of a feature with the kinds that have it, no more and no fewer."""
    kinds = {get_args(member)[1].tag: get_args(member)[0] for member in get_args(get_args(Feature)[0])}
    rows = [row.split(" | ") for row in re.findall(r"^\| `….*$", TEXT, re.MULTILINE)]
    written = {(row[0].strip("|` …."), kind) for row in rows for kind in (kinds if row[1] == "all" else row[1].split(", "))}
    assert written == {(key, kind) for kind, table in kinds.items() for key in table.model_fields}
