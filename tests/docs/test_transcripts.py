"""Transcripts name their commands, and each figure of the README's tables is one that a command printed."""

import re

import pytest

from tests.conftest import ROOT
from tests.docs.pages import PAGES, fenced_blocks

README = ROOT / "README.md"
WRITTEN = [page for page in PAGES if page.name != "cli.md"]  # that one is generated from the parser
PRINTED = "".join((ROOT / "docs" / name).read_text() for name in ("benchmarks.md", "quality.md"))


@pytest.mark.parametrize("page", WRITTEN, ids=str)
def test_each_transcript_follows_its_command(page):
    blocks = [(before, content) for before, language, content in fenced_blocks(page) if not language]
    assert [content for before, content in blocks if not re.fullmatch(r"<!-- transcript: .+ -->", before)] == []
    assert len(re.findall(r"^ *<!-- transcript: ", page.read_text(), re.MULTILINE)) == len(blocks)


def test_the_readme_shows_lines_that_the_command_printed():
    (transcript,) = [content for _, language, content in fenced_blocks(README) if not language]
    assert [line for line in transcript.splitlines() if line not in PRINTED.splitlines()] == []


@pytest.mark.parametrize("section", ["What you get", "Results", "Speed"])
def test_the_figures_of_the_readme_are_printed_ones(section):
    (text,) = re.findall(rf"^## {section}\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    figures = [figure.replace("%", "").strip() for figure in re.findall(r"[+-]?\d[\d,]*\.\d+(?:e-?\d+)?(?: ?%)?|\d+,\d{3}", text)]
    assert figures and [figure for figure in figures if figure not in PRINTED] == []
