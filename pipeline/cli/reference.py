"""Writes `docs/cli.md`, the reference of the `din` command, from its parser: `python -m pipeline.cli.reference > docs/cli.md`."""

import argparse
import functools
from collections.abc import Iterator

from pipeline.cli.main import EXIT_STATUS, make_parser

_FORMATTER = functools.partial(argparse.HelpFormatter, width=110)  # by default the width is that of the terminal

_TOP = """# The `din` command

<!-- This page is generated from the parser of the command: python -m pipeline.cli.reference > docs/cli.md -->

{description} `din COMMAND --help` prints the same as this page.

{commands}

```
{exit_status}
```
"""

_SECTION = """
{heading} `{command}`

{description}

```
{usage}
```
"""


def make_reference() -> str:
    """Returns the reference in Markdown: the list of commands, then for each its usage and a table of its arguments."""
    din = make_parser()
    top = _TOP.format(description=din.description, commands=_commands_table(din), exit_status=EXIT_STATUS.strip())
    return top + "".join(_section(command, depth=2) for command in subcommands(din).values())


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Returns the parsers of a command's own commands by name."""
    return next((action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)), {})


def arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yields the arguments of a command without `--help` and its own commands. argparse has no public way to them."""
    return (action for action in parser._actions if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction))


def _section(parser: argparse.ArgumentParser, depth: int) -> str:
    section = _SECTION.format(heading="#" * depth, command=parser.prog, description=parser.description, usage=_usage(parser))
    rows = [(_syntax(argument), str(argument.help)) for argument in arguments(parser)]
    if rows:
        section += f"\n{_table(('argument', 'meaning'), rows)}\n"
    return section + "".join(_section(command, depth + 1) for command in subcommands(parser).values())


def _usage(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = _FORMATTER
    prefix = "usage: "
    return "\n".join(line[len(prefix) :] for line in parser.format_usage().splitlines())


def _commands_table(parser: argparse.ArgumentParser) -> str:
    rows = [
        (f"[`{command.prog}`](#{command.prog.replace(' ', '-')})", str(command.description)) for command in subcommands(parser).values()
    ]
    return _table(("command", "what it does"), rows)


def _syntax(argument: argparse.Action) -> str:
    """Returns an argument as the user types it, e.g. `--set KEY=VALUE`."""
    value = argument.metavar or ("{" + ",".join(argument.choices) + "}" if argument.choices else argument.dest.upper())
    values = [str(value)] * (argument.nargs if isinstance(argument.nargs, int) else 1)  # an option without a value has nargs 0
    return f"`{' '.join([*argument.option_strings, *values])}`"


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    print(make_reference(), end="")
