"""Finds the tables of a click log below SOURCE: by their names, or by the patterns of a given split. Symbolic links are followed."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.base.errors import InputError
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.sources.clicklog.files_mapping import FilesMapping
from pipeline.datasets.tables.table_form import KINDS, is_table
from pipeline.datasets.tables.text_stream import check_file


@dataclass(frozen=True)
class LogFiles:
    """The tables of a log.

    Attributes:
        splits: The split of each one, in the order in which they are read; None where the log is not split already.
        notes: What the user should know about files, with their number.
    """

    splits: dict[Path, str | None]
    notes: Counter[str]


def find_log_files(source: Path, files: FilesMapping, side_tables: Sequence[Path], mapping: Path) -> LogFiles:
    """Finds the tables of a log.

    Args:
        source: A table, or a folder with tables in it or below it.
        files: Says the format of any name, and the patterns of a given split.
        side_tables: Tables about items and users, which are not part of the log.
        mapping: The mapping, for messages; it is not part of the log either.

    Raises:
        InputError: There is none, or a pattern finds none, or two splits have the same one, or one is not a file.
    """
    if not source.exists():
        raise InputError(f"{source} is missing: name the file or folder that holds the log.")
    notes = Counter[str]()
    splits: dict[Path, str | None]
    if files.train:
        splits = dict(_given(source, files, mapping))
    elif source.is_dir():
        splits = dict.fromkeys(_in_folder(source, files, [path.resolve() for path in (*side_tables, mapping)], notes))
        if not splits:
            raise InputError(f"{source} holds no table: put files there whose names end in {KINDS}, or set files.format in {mapping}.")
    else:
        splits = {source: None}
    for path in splits:
        check_file(path)
        if link := _link(path, source):
            notes[f"files are read through the symbolic link {link} -> {link.resolve()}"] += 1
    return LogFiles(splits, notes)


def _in_folder(source: Path, files: FilesMapping, others: Sequence[Path], notes: Counter[str]) -> list[Path]:
    made = f"files are passed over, since din has made their data sets, in {source}"
    found = []
    for path in sorted(_walk(source)):
        if path.resolve() in others:
            continue
        if any((folder / MANIFEST).is_file() and (folder / SPLITS[0]).is_dir() for folder in path.parents if _is_below(folder, source)):
            notes[made] += 1
        elif files.format or is_table(path):
            found.append(path)
        else:
            notes[f"files in {path.parent} are passed over, since their names end in {path.suffix!r}: files.format takes any name"] += 1
    return _once(found, source, notes)


def _walk(source: Path) -> Iterator[Path]:
    """Yields all files; neither they nor folders above them are hidden or begin with _, as Spark's and Hive's own files do."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): change its permissions, or move it away.") from error

    for folder, folders, names in os.walk(source, followlinks=True, onerror=refuse):
        above = {Path(folder).resolve(), *Path(folder).resolve().parents}
        folders[:] = [name for name in folders if _is_data(name) and (Path(folder) / name).resolve() not in above]
        yield from (Path(folder) / name for name in names if _is_data(name))


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_"))


def _is_below(folder: Path, source: Path) -> bool:
    return folder != source and folder.is_relative_to(source)


def _link(path: Path, source: Path) -> Path | None:
    """Returns the first symbolic link on the way from SOURCE to a file."""
    return next((place for place in (*reversed(path.parents), path) if _is_below(place, source) and place.is_symlink()), None)


def _once(paths: Iterable[Path], source: Path, notes: Counter[str]) -> list[Path]:
    """Returns each file once, by its own name where it has also a symbolic link."""
    kept: dict[Path, Path] = {}
    for path in sorted(paths, key=lambda path: (_link(path, source) is not None, path)):
        same = kept.setdefault(path.resolve(), path)
        if same != path:
            notes[f"files are passed over, since they are others under a second name, such as {path}, which is {same}"] += 1
    return sorted(kept.values())


def _given(source: Path, files: FilesMapping, mapping: Path) -> Iterator[tuple[Path, str]]:
    """Yields the files of each split."""
    if not source.is_dir():
        raise InputError(f"{source} is not a folder, but [files] in {mapping} gives a split by files in a folder.")
    splits: dict[Path, str] = {}
    for split, patterns in files.patterns.items():
        for pattern in patterns:
            names = glob.glob(pattern, root_dir=source, recursive=True)  # noqa: PTH207  Path.glob does not follow links below **
            found = [path for path in map(source.joinpath, sorted(names)) if not path.is_dir()]
            if not found:
                hint = f": for all files of a folder, write {pattern}/**" if names else ""
                raise InputError(f"{source} has no file {pattern!r}, which files.{split} in {mapping} names{hint}.")
            for path in found:
                if path.resolve() not in splits:
                    yield path, split
                if splits.setdefault(path.resolve(), split) != split:
                    raise InputError(f"{path} is in {splits[path.resolve()]} and in {split}: correct [files] in {mapping}.")
