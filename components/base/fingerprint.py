"""Fingerprints of files and of code. They are part of TFX's cache keys, which otherwise miss edited modules and upgraded libraries."""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("tfx", "tensorflow", "keras", "tensorflow-transform", "tensorflow-model-analysis", "tensorflow-data-validation")

_PACKAGES = ("din_trainer", "components", "pipeline", "benchmarks")
_ROOT = Path(__file__).parents[2]  # the folder with the packages
_DOTTED_NAME = re.compile(r"\w+(\.\w+)+")


def file_fingerprint(file: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def source_fingerprint(*entries: Any) -> str:
    """A fingerprint of all modules of this project that the entries can reach, and of the versions of the main libraries.

    Args:
        entries: Dotted names of modules, dotted names of functions, or component classes.

    Returns:
        The first 16 hexadecimal digits of the SHA-256 of the library versions and of the modules of `import_closure`.
    """
    digest = hashlib.sha256(" ".join(version(library) for library in LIBRARIES).encode())
    names = [entry if isinstance(entry, str) else entry.__module__ for entry in entries]
    for module in import_closure(*names):
        digest.update(module.encode())
        digest.update(module_file(module).read_bytes())
    return digest.hexdigest()[:16]


def import_closure(*names: str) -> list[str]:
    """The modules of this project that some modules import, directly or through others, and these modules themselves; sorted.

    Imports inside functions count; imports under `if TYPE_CHECKING` do not. A module whose name is a string in the code counts as well,
    because TFX, TFMA and child processes import modules by name.

    Args:
        names: Dotted names of modules, or of something in them.

    Raises:
        ValueError: A name is in no module of this project, or a module has a relative import.
    """
    waiting: set[str] = set()
    for name in names:
        if not (modules := set(_modules(name))):
            raise ValueError(f"{name!r} names no module of this project")
        waiting |= modules
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        found.add(module)
        try:
            named = _named_in(module_file(module).read_bytes())
        except ValueError as error:
            raise ValueError(f"{module}: {error}") from error
        waiting |= {reached for name in named for reached in _modules(name)} - found
    return sorted(found)


def module_file(module: str) -> Path:
    """Returns the file of a module or a package of this project."""
    path = _ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _modules(name: str) -> Iterator[str]:
    """The module with a dotted name, or else the module that defines it, and the packages that contain this module."""
    parts = name.split(".")
    if parts[0] not in _PACKAGES:
        return
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        if not module_file(module).is_file():
            return
        yield module


@cache
def _named_in(source: bytes) -> frozenset[str]:
    """The dotted names that a module's source imports or has as strings."""
    return frozenset(name for node in _nodes(ast.parse(source)) for name in _names(node))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all nodes below it, except the imports that only a type checker sees."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children = node.orelse
    for child in children:
        yield from _nodes(child)


def _names(node: ast.AST) -> list[str]:
    """The dotted names in a node that may be modules."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        case ast.ImportFrom():
            raise ValueError(f"the relative import in line {node.lineno} cannot be followed: write the whole name of the module")
        case ast.Constant(value=str(text)) if _DOTTED_NAME.fullmatch(text):
            return [text]
    return []
