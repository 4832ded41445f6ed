"""Source fingerprints: they enter TFX's cache keys, which otherwise see neither edited modules nor upgraded libraries."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

LIBRARIES = ("tfx", "tensorflow", "keras", "tensorflow-transform", "tensorflow-model-analysis", "tensorflow-data-validation")


def file_fingerprint(file: str) -> str:
    """SHA-256, shortened, of a file's content."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def source_fingerprint(*modules: ModuleType) -> str:
    """SHA-256, shortened, over the Python files of modules and whole packages, and the versions of the libraries that they call."""
    digest = hashlib.sha256(" ".join(version(library) for library in LIBRARIES).encode())
    for module in modules:
        assert module.__file__ is not None
        file = Path(module.__file__)
        for path in sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]:
            digest.update(str(path.relative_to(file.parent)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
