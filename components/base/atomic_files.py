"""Writes text files that are either complete or not there at all."""

import os
from collections.abc import Iterable
from pathlib import Path

from components.base.errors import InputError


def write_whole(path: Path, lines: Iterable[str]) -> None:
    """Writes all lines to a file beside `path` and then renames it to `path`.

    Raises:
        InputError: The file cannot be written.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(aside, "w", encoding="utf-8") as file:
                file.writelines(lines)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another place, or free some space.") from error


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, text: str) -> None:
    """Writes a text file like `write_whole`, and waits until it is on the disk. A loss of power leaves the old file or the new one.

    Raises:
        OSError: The file cannot be written. The old one stays.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync(path.parent)
