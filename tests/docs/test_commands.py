"""The commands and the configuration keys of the documentation are those of the code."""

import re
import shlex

import pytest
from pydantic import BaseModel

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
    """The keys of a table that has a fixed name, dotted."""
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        found |= keys(kind, f"{prefix}{name}.") if isinstance(kind, type) and issubclass(kind, BaseModel) else {prefix + name}
    return found


def test_every_configuration_key_is_explained():
    text = (ROOT / "docs" / "configuration.md").read_text()
    tables = {"features.behaviours", "features.user", "features.context", "evaluation.thresholds", "drift", "skew"}
    assert [key for key in sorted(keys(PipelineConfig) - tables) if f"| `{key}`" not in text] == []
    assert [table for table in tables if f"`{table}." not in text] == []
