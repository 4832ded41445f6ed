"""Helpers for the parsers of the `din` commands, and the arguments that several commands share."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from components.base.errors import InputError
from components.base.stores import is_store, named_path
from pipeline.terminal import printable

DEFAULT_WORKSPACE = Path("workspace")

Commands = Any  # argparse has no public name for what `add_subparsers` returns


class Parser(argparse.ArgumentParser):
    """argparse's parser, which escapes what the user typed when it repeats it in an error."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def local_path(name: str) -> Path:
    """The type of an argument that names a file or a folder of this machine: a URL would else make a folder `s3:`."""
    if is_store(name):
        raise argparse.ArgumentTypeError(f"{name} is in an object store: name a file or a folder of this machine.")
    return Path(name)


def data_path(name: str) -> Path:
    """The type of an argument that names data, on this machine or in an object store."""
    try:
        return named_path(name)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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
        type=local_path,
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


def add_engine(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--engine", choices=["local", "flink", "spark", "dataflow", "portable"], help=f"{what} (default: beam.engine)")


def with_engine(args: argparse.Namespace) -> list[str]:
    """Returns the settings of `--set`, with that of `--engine`."""
    return [*args.settings, *([f"beam.engine={args.engine}"] if args.engine else [])]


def add_json(parser: Any, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def command_line() -> str:
    """Returns the command as the user typed it, for manifests."""
    return " ".join(["din", *sys.argv[1:]])
