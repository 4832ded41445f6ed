"""Fingerprints of files and of code: they enter TFX's cache keys, which otherwise see neither edited modules nor upgraded libraries."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("tfx", "tensorflow", "keras", "tensorflow-transform", "tensorflow-model-analysis", "tensorflow-data-validation")

_PACKAGES = ("din_trainer", "components", "pipeline", "benchmarks")
_ROOT = Path(__file__).parents[2]  # the folder that holds the packages


def file_fingerprint(file: str) -> str:
    """SHA-256, shortened, of a file's content."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def source_fingerprint(*entries: Any) -> str:
    """A fingerprint of all code of this project that some modules can reach, and of the versions of the libraries that it calls.

    Args:
        entries: Where to start: dotted names of modules or of functions in them, or component classes.

    Returns:
        SHA-256, shortened, over the files of `import_closure`.
    """
    digest = hashlib.sha256(" ".join(version(library) for library in LIBRARIES).encode())
    names = [entry if isinstance(entry, str) else entry.__module__ for entry in entries]
    for module in import_closure(*names):
        digest.update(module.encode())
        digest.update(_file_of(_ROOT, module).read_bytes())
    return digest.hexdigest()[:16]


def import_closure(*names: str) -> list[str]:
    """The modules of this project that some modules reach by their imports, at any distance, themselves included; sorted.

    An import inside a function counts, one for the type checker alone does not. A module that the code names in a string counts as well:
    TFX, TFMA and child processes are told so what to import.

    Raises:
        ValueError: A name is of no module of this project.
    """
    found: set[str] = set()
    waiting: set[str] = set()
    for name in names:
        waiting |= (named := set(_modules(_ROOT, name)))
        if not named:
            raise ValueError(f"{name!r} names no module of this project")
    while waiting:
        module = waiting.pop()
        found.add(module)
        file = _file_of(_ROOT, module)
        waiting |= _references(_ROOT, file, file.stat().st_mtime_ns) - found
    return sorted(found)


def _file_of(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _references(root: Path, file: Path, _changed: int) -> frozenset[str]:
    """The project's modules that a file imports or names, with the packages that they lie in."""
    names = {name for node in _nodes(ast.parse(file.read_bytes())) for name in _names(node)}
    return frozenset(module for name in names if name.startswith(_PACKAGES) for module in _modules(root, name))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _nodes(child)


def _names(node: ast.AST) -> list[str]:
    """Dotted names that may be modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.replace(".", "").replace("_", "").isalnum():
        return [node.value]
    return []


def _modules(root: Path, name: str) -> Iterator[str]:
    """The modules on the way to a dotted name: its packages, itself if it is one, else the module that defines it."""
    parts = name.split(".")
    if parts[0] not in _PACKAGES or len(parts) == 1:
        return
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        if not _file_of(root, module).is_file():
            return
        yield module
