"""Arguments that several commands share."""

import argparse
import sys
from pathlib import Path
from typing import Any

DEFAULT_WORKSPACE = Path("workspace")

Commands = Any  # argparse has no public name for what `add_subparsers` returns


def add_workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        default=DEFAULT_WORKSPACE,
        help="the folder of all runs and versions (default: workspace)",
    )


def add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="the name whose versions are meant (default: the only name in the workspace)")


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="settings", help="change one setting, e.g. training.epochs=3"
    )


def add_json(parser: Any, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def command_line() -> str:
    """The command as the user typed it, for manifests."""
    return " ".join(["din", *sys.argv[1:]])
