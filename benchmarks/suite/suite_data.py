"""Finds the sources of a suite's data sets, and imports each once. A digest identifies the content of a data set."""

import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.peer_environment import package_files
from benchmarks.suite.suite_config import SuiteData
from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.fingerprint import source_fingerprint
from pipeline.configuration.load_config import parse_section
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.sources.by_name import find_mapping, open_source

_BLOCK = 1 << 20


class Imported(NamedTuple):
    """An imported data set.

    Attributes:
        folder: Its folder, in the layout of `pipeline.datasets.layout`.
        manifest: Its manifest.
        digest: The SHA-256 of all impressions in their order.
        is_source_there: Whether the source still exists. If not, the impressions are those of an earlier import.
    """

    folder: Path
    manifest: dict[str, Any]
    digest: str
    is_source_there: bool = True


def locate(data: SuiteData, sources: Path | None) -> Path:
    """Returns the source of a data set.

    Raises:
        InputError: The source does not exist; the message says how to get it.
    """
    if data.package:
        folder = package_files(data.package)
        path = folder / data.source
        if not path.exists():
            raise InputError(f"{data.package} in {folder} has no {data.source}: correct the suite, or delete this folder if it is damaged.")
        return path
    if sources is None:
        raise InputError(f"{data.source} must be in the folder of sources: name this folder with --sources.")
    path = sources / data.source
    if not path.exists():
        raise InputError(f"{path} does not exist: put it there, or name another folder with --sources.")
    return path


def run_import(data: SuiteData, source: Path, mapping: Path | None, out: Path, command: str) -> None:
    """Imports a source like `din import`."""
    from pipeline.datasets.importing.import_source import import_source

    settings = parse_section(ImportSettings, data.options, f"data set {data.name}, options")
    import_source(open_source(data.importer, source, mapping), out, settings, command=command)


def import_once(data: SuiteData, source: Path, out: Path, command: str) -> Imported:
    """Imports a data set into `out / name`, unless it was imported from the same files with the same settings and code.

    Args:
        data: The data set.
        source: Its source.
        out: The folder of the data sets.
        command: The command that the manifest records.

    Raises:
        InputError: The source or a setting of the import is refused.
    """
    mapping = find_mapping(data.mapping) if data.mapping else None
    made_of = {
        "importer": data.importer,
        "options": data.options,
        "files": _files(source) + (_files(mapping) if mapping else []),
        "code": source_fingerprint("pipeline.datasets.importing.import_source", "pipeline.datasets.sources.by_name"),
    }
    made = _stamp(data, out)
    if made.get("made_of") != made_of:
        aside = out / f".{data.name}.new"
        shutil.rmtree(aside, ignore_errors=True)
        run_import(data, source, mapping, aside, command)
        made = {"made_of": made_of, "digest": content_digest(aside)}
        _replace(data, out, aside, made)
    return _imported(data, out, made)


def imported_before(data: SuiteData, out: Path) -> Imported | None:
    """Returns a data set that was imported before from the same source with the same settings; None if there is none.

    Args:
        data: The data set. Its source need not exist any more.
        out: The folder of the data sets.
    """
    made = _stamp(data, out)
    if not made:
        return None
    made_of, mapping = made["made_of"], _files(find_mapping(data.mapping)) if data.mapping else []
    files = made_of["files"]
    is_same = (
        (made_of["importer"], made_of["options"]) == (data.importer, data.options)
        and files[len(files) - len(mapping) :] == mapping
        and any(f"/{data.source}/" in f"{path}/" for path, *_ in files)
    )
    return _imported(data, out, made)._replace(is_source_there=False) if is_same else None


def _stamp(data: SuiteData, out: Path) -> dict[str, Any]:
    """Returns what an imported data set was made of, and its digest; empty if there is no data set or its stamp is damaged."""
    file = out / f"{data.name}.json"
    if not file.exists() or not (out / data.name / MANIFEST).exists():
        return {}
    try:
        made = json.loads(file.read_text())
    except ValueError:
        return {}
    return made if isinstance(made, dict) and {"made_of", "digest"} <= made.keys() else {}


def _replace(data: SuiteData, out: Path, aside: Path, made: dict[str, Any]) -> None:
    """Replaces the last import by a finished one. The old stamp is deleted first, and the new stamp is written last."""
    folder, stamp = out / data.name, out / f"{data.name}.json"
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    write_whole(stamp, [json.dumps(made, indent=2) + "\n"])


def _imported(data: SuiteData, out: Path, made: dict[str, Any]) -> Imported:
    folder = out / data.name
    return Imported(folder, json.loads((folder / MANIFEST).read_text()), made["digest"])


def _files(source: Path) -> list[list[Any]]:
    """Returns name, size and modification time of the files in a folder, or of a file and its neighbours, which may describe its items."""
    paths = source.rglob("*") if source.is_dir() else source.parent.iterdir()
    files = sorted(path for path in paths if path.is_file())
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def content_digest(folder: Path) -> str:
    """Returns the SHA-256 of all records in their order, which does not depend on their compression and their division into files."""
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(split.encode())
        for path in split_files(folder, split):
            with gzip.open(path) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
