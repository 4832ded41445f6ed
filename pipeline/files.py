"""Files that are whole or not there."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError


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
