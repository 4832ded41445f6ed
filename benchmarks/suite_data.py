"""The data sets of a suite: found, imported once, and known by their content."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pipeline.datasets
from benchmarks.peer_environment import package_files
from benchmarks.suite import SuiteData
from pipeline.config import parse_section
from pipeline.datasets.importing.settings import ImportSettings
from pipeline.datasets.layout import MANIFEST, SPLITS
from pipeline.datasets.sources.by_name import find_mapping, open_source
from pipeline.errors import InputError
from pipeline.files import write_whole
from pipeline.fingerprint import source_fingerprint
from pipeline.preflight import split_files

_BLOCK = 1 << 20


class Imported(NamedTuple):
    """A data set that is there.

    Attributes:
        folder: In the layout of `pipeline.datasets.layout`.
        manifest: Its own.
        digest: SHA-256 of all impressions in their order.
    """

    folder: Path
    manifest: dict[str, Any]
    digest: str


def locate(data: SuiteData, sources: Path | None) -> Path:
    """The source of a data set.

    Raises:
        InputError: It is not there; the message says how to get it.
    """
    if data.package:
        path = package_files(data.package) / data.source
        if not path.exists():
            raise InputError(f"{data.package} holds no {data.source}: correct the suite.")
        return path
    if sources is None:
        raise InputError(f"{data.source} is looked for in the folder of sources: name it with --sources.")
    path = sources / data.source
    if not path.exists():
        raise InputError(f"{path} is not there: put it there, or name another folder with --sources.")
    return path


def run_import(data: SuiteData, source: Path, mapping: Path | None, out: Path, command: str) -> None:
    """Imports a source as `din import` does."""
    from pipeline.datasets.importing.run import import_source

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
    folder, stamp = out / data.name, out / f"{data.name}.json"
    made_of = {
        "importer": data.importer,
        "options": data.options,
        "files": _files(source) + (_files(mapping) if mapping else []),
        "code": source_fingerprint(pipeline.datasets),
    }
    made = json.loads(stamp.read_text()) if stamp.exists() and folder.is_dir() else {}
    if made.get("made_of") != made_of:
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        run_import(data, source, mapping, folder, command)
        made = {"made_of": made_of, "digest": content_digest(folder)}
        write_whole(stamp, [json.dumps(made, indent=2) + "\n"])
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
