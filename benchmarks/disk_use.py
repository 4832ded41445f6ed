"""How many bytes files take on the disk."""

import os
from pathlib import Path


def disk_use(place: Path) -> int:
    """Returns the bytes that a file or a folder takes on the disk."""
    files = [Path(folder, name) for folder, _, names in os.walk(place) for name in names] if place.is_dir() else [place]
    return sum(file.lstat().st_blocks * 512 for file in files if file.exists() or file.is_symlink())
