"""The console that commands print tables with: Rich's, which escapes control characters and takes all text as it is."""

from typing import Any

import rich.console
from rich.text import Text

from pipeline.terminal import printable


class Console(rich.console.Console):
    """A console that prints any text as it is: nothing in it is taken for markup, for the name of an emoji, or for a control character.

    Rich asks `render_str` for every `str` that is printed, and for the cells, headers, titles and captions of tables. So tables are made of
    `str`: a `Text` would not be escaped.

    Args:
        **options: The options of Rich's console, e.g. `file` and `quiet`.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, self.encoding), **options)
