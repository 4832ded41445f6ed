"""The data sets of a suite: found, imported once, and known by their content."""

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
from pipeline.datasets.layout import MANIFEST, SPLITS, split_files
from pipeline.datasets.sources.by_name import find_mapping, open_source

_BLOCK = 1 << 20


class Imported(NamedTuple):
    """A data set that is there.

    Attributes:
        folder: In the layout of `pipeline.datasets.layout`.
        manifest: Its own.
        digest: SHA-256 of all impressions in their order.
        is_source_there: Otherwise they are those of an earlier import.
    """

    folder: Path
    manifest: dict[str, Any]
    digest: str
    is_source_there: bool = True


def locate(data: SuiteData, sources: Path | None) -> Path:
    """The source of a data set.

    Raises:
        InputError: It is not there; the message says how to get it.
    """
    if data.package:
        folder = package_files(data.package)
        path = folder / data.source
        if not path.exists():
            raise InputError(
                f"{data.package} in {folder} holds no {data.source}: correct the suite, or delete that folder if it is damaged."
            )
        return path
    if sources is None:
        raise InputError(f"{data.source} is looked for in the folder of sources: name it with --sources.")
    path = sources / data.source
    if not path.exists():
        raise InputError(f"{path} is not there: put it there, or name another folder with --sources.")
    return path


def run_import(data: SuiteData, source: Path, mapping: Path | None, out: Path, command: str) -> None:
    """Imports a source as `din import` does."""
    from pipeline.datasets.importing.import_source import import_source

    settings = parse_section(ImportSettings, data.options, f"data set {data.name}, options")
    import_source(open_source(data.importer, source, mapping), out, settings, command=command)


def import_once(data: SuiteData, source: Path, out: Path, command: str) -> Imported:
    """Imports a data set into `out / name`, unless it is there, made of the same files by the same settings and code.

    Args:
        data: What to import.
        source: Where it is.
        out: Folder of the data sets.
        command: For the manifest.

    Raises:
        InputError: The source, or a setting of the import, is refused.
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
    """A data set that was imported from the same source by the same settings, whose source need not be there any more.

    Args:
        data: What is wanted.
        out: Folder of the data sets.
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
    """What a data set that is there was made of, and its digest; empty if it is not there or its stamp is damaged."""
    file = out / f"{data.name}.json"
    if not file.exists() or not (out / data.name / MANIFEST).exists():
        return {}
    try:
        made = json.loads(file.read_text())
    except ValueError:
        return {}
    return made if isinstance(made, dict) and {"made_of", "digest"} <= made.keys() else {}


def _replace(data: SuiteData, out: Path, aside: Path, made: dict[str, Any]) -> None:
    """Puts a finished import in the place of the last one. Its stamp goes first and comes last."""
    folder, stamp = out / data.name, out / f"{data.name}.json"
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    write_whole(stamp, [json.dumps(made, indent=2) + "\n"])


def _imported(data: SuiteData, out: Path, made: dict[str, Any]) -> Imported:
    folder = out / data.name
    return Imported(folder, json.loads((folder / MANIFEST).read_text()), made["digest"])


def _files(source: Path) -> list[list[Any]]:
    """Name, size and time of change of all files in a folder, or beside a file, where what is known of its items is."""
    paths = source.rglob("*") if source.is_dir() else source.parent.iterdir()
    files = sorted(path for path in paths if path.is_file())
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def content_digest(folder: Path) -> str:
    """SHA-256 of the records of a data set in their order, however they are compressed and cut into files."""
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(split.encode())
        for path in split_files(folder, split):
            with gzip.open(path) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
