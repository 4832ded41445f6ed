"""The messages that docs/troubleshooting.md quotes are those of the code."""

import ast
import re

from tests.conftest import ROOT

_ROOMS = ("pipeline", "components", "din_trainer")


def texts(node):
    """The strings of a syntax tree, with … for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def test_every_quoted_message_is_one_of_the_code():
    messages = [text for room in _ROOMS for file in sorted((ROOT / room).rglob("*.py")) for text in texts(ast.parse(file.read_text()))]
    messages.append((ROOT / "deploy" / "setup.sh").read_text())
    first_cells = re.findall(r"^\| (.*?) \| ", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [span for cell in first_cells for span in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 50
    assert [span for span in quoted if not any(span in message for message in messages)] == []
