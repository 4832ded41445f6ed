"""Parses the HTML pages of a report."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class HTMLPage(HTMLParser):
    """The content of an HTML file.

    Attributes:
        tags: (name, attributes) of each element, in the order of the page.
        text: All visible text.
        data: The JSON that the page's script reads.
    """

    def __init__(self, file: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._shown: list[str] = []
        self._script = ""
        self._inside = ""
        self.feed(file.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self._shown).split())
        self.data: dict[str, Any] = json.loads(self._script, parse_constant=refuse)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = "json" if dict(attrs).get("type") == "application/json" else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "json":
            self._script += data
        elif self._inside not in ("script", "style"):
            self._shown.append(data)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")
