"""What a store holds, and whether it is what its workspace serves."""

import time
from pathlib import Path

from fsspec.implementations.memory import MemoryFileSystem
from moto.s3.models import s3_backends

from components.base.stores import named_path
from components.serving.store.models_config import link_folder, read_models_config
from components.serving.store.publication import unpublished
from tests.components.serving.saved_models import content


def model(folder: Path, weights: int) -> Path:
    place = folder / f"model{weights}"
    for name, text in {"variables/weights": f"weights {weights}", "saved_model.pb": "graph"}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def stored(url: str) -> dict[str, bytes]:
    """Everything in a store, by its path in the folder."""
    place = named_path(url)
    if url.startswith("memory:"):
        files = {name.removeprefix(f"{place.path}/"): file.getvalue() for name, file in MemoryFileSystem.store.items()}
        return {name: data for name, data in files.items() if not name.startswith("/")}
    if url.startswith("file:"):
        return content(Path(place.path)) if Path(place.path).exists() else {}
    bucket, _, folder = place.path.partition("/")
    backend = next(backend for account in s3_backends.values() for backend in account.values() if bucket in backend.buckets)
    keys = dict(backend.buckets[bucket].keys)  # moto keeps the versions of each object
    return {name.removeprefix(f"{folder}/"): found[-1].value for name, found in keys.items() if name.startswith(f"{folder}/") and found}


def versions_in(found: dict[str, bytes], number: int) -> dict[int, dict[str, bytes]]:
    """The files of each version in a folder of the store."""
    versions: dict[int, dict[str, bytes]] = {}
    for name, data in found.items():
        if name.startswith(f"served/{number}/"):
            _, _, version, rest = name.split("/", 3)
            versions.setdefault(int(version), {})[rest] = data
    return versions


def named(config: bytes) -> tuple[int, set[int]]:
    """The folder and the labelled versions of a `models.config`."""
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    (found,) = text_format.Parse(config, ModelServerConfig()).model_config_list.config
    return int(found.base_path.rpartition("/")[2]), set(found.version_labels.values())


def whole(base: Path, version: int) -> dict[str, bytes]:
    return {name: data for name, data in content(base / str(version)).items() if name != "not_loaded"}


def assert_published(base, url, now=None, cleared=True):
    """The store has what the workspace links to, whole, and nothing that is half there."""
    found, served = stored(url), read_models_config(base)
    assert found["models.config"] == (base / "models.config").read_bytes()
    newest = versions_in(found, link_folder(base))
    assert set(served.labels.values()) <= set(newest)
    for number in {int(name.split("/")[1]) for name in found if name.startswith("served/")}:
        for version, files in versions_in(found, number).items():
            assert files == whole(base, version)
    assert not cleared or not [name for name in found if name.startswith(".publishing")]
    assert unpublished(base, now or time.time()) == []
