"""Files that are whole or not there."""

import os
from collections.abc import Iterable
from pathlib import Path

from components.base.errors import InputError


def write_whole(path: Path, lines: Iterable[str]) -> None:
    """Writes a text file aside and moves it into place when all of `lines` is in it.

    Raises:
        InputError: The file cannot be written.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.replace(aside, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another place, or free some space.") from error
    finally:
        aside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Has the disk hold a file, or the names in a folder, before anything else happens."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, text: str) -> None:
    """Writes a text file as `write_whole`, and has it on the disk, so that not even a loss of power leaves half of it.

    Raises:
        OSError: The file cannot be written; the old one stands.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)
