"""Helpers for the parsers of the `din` commands, and the arguments that several commands share."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from pipeline.terminal import printable

DEFAULT_WORKSPACE = Path("workspace")

Commands = Any  # argparse has no public name for what `add_subparsers` returns


class Parser(argparse.ArgumentParser):
    """argparse's parser, which escapes what the user typed when it repeats it in an error."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def add_command(commands: Commands, name: str, purpose: str) -> argparse.ArgumentParser:
    """Adds a command.

    Args:
        commands: What `add_subparsers` returned.
        name: The name of the command.
        purpose: Shown in the list of commands, and at the top of the command's own help.

    Returns:
        The parser of the command.
    """
    return commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")


def add_workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        default=DEFAULT_WORKSPACE,
        help="the folder of all runs and served versions (default: workspace)",
    )


def add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="the name of the model, which its configuration gives (default: the only name in the workspace)")


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="change one setting of the configuration, e.g. training.epochs=3; can be repeated",
    )


def add_json(parser: Any, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def command_line() -> str:
    """Returns the command as the user typed it, for manifests."""
    return " ".join(["din", *sys.argv[1:]])
