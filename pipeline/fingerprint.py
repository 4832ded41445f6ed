"""Source fingerprints: they enter TFX's cache keys, which otherwise do not see that dotted modules were edited."""

import hashlib
from pathlib import Path
from types import ModuleType


def source_fingerprint(module: ModuleType) -> str:
    """SHA-256 over the Python files of a package, or of one module."""
    assert module.__file__ is not None
    file = Path(module.__file__)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
