"""The pages that the tests of this folder read, and the parts of a page: blocks, code spans and links."""

import re
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def fenced_blocks(page: Path) -> list[tuple[str, str, str]]:
    """The line before each fenced block, its language and its content."""
    text = page.read_text()
    return [(text[: found.start()].rstrip("\n").rpartition("\n")[2], found[2], found[3]) for found in _FENCED.finditer(text)]


def code_lines(page: Path) -> list[str]:
    """The lines of bash blocks and of indented blocks, without comments."""
    shell = [content for _, language, content in fenced_blocks(page) if language == "bash"]
    indented = re.findall(r"^ {4,}(\S.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    lines = [line for content in shell for line in content.splitlines()] + indented
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines]


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
