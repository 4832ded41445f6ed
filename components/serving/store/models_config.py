"""Reads and writes `models.config`, which lies beside the versions of a model: the labels, and where TF Serving finds the versions.

It is the text form of TF Serving's `ModelServerConfig`, for the flags `--model_config_file` and `--model_config_file_poll_wait_seconds`. It
also needs `--allow_version_labels_for_unavailable_models`: without that flag TF Serving accepts no labels when it starts, because nothing
is loaded yet. Each write names a new folder of links, whose versions TF Serving loads (`components.serving.store.served_links`).
"""

import time
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from components.base.atomic_files import write_durably
from components.base.errors import InputError
from components.serving.store.served_links import SERVED, link_everywhere, make_link_folder, split_base_path

MODELS_CONFIG = "models.config"
STABLE, CANARY = "stable", "canary"
POLL_SECONDS = 5.0  # how often TF Serving reads the file; the same as in `deploy/serving`
WAIT_SECONDS = 600.0  # a version that cannot be loaded shows that after 5 retries, 60 s apart


class ServedModel(NamedTuple):
    """What TF Serving must serve.

    Attributes:
        name: The name of the model in requests.
        base_path: Where TF Serving sees the folder of versions: an absolute path, or a URI.
        labels: Version by label; these versions are loaded.
    """

    name: str
    base_path: str
    labels: dict[str, int]


def read_models_config(folder: Path) -> ServedModel | None:
    """Reads the `models.config` of a folder of versions; None if there is none.

    Raises:
        InputError: The file does not configure one model with a stable version, or it names a version that is not there.
    """
    file = folder / MODELS_CONFIG
    model = _read(file)
    if model is None:
        return None
    for version in sorted({*model.model_version_policy.specific.versions, *model.version_labels.values()}):
        if not (folder / str(version)).is_dir():
            raise InputError(f"{file} names version {version}, which is not there: correct it, or delete it.")
    return ServedModel(model.name, split_base_path(model.base_path)[0], dict(sorted(model.version_labels.items())))


def link_folder(folder: Path) -> int | None:
    """Returns the number of the folder of links that `models.config` names; None if there is no file, or one of an older release.

    Raises:
        InputError: As for `read_models_config`.
    """
    model = _read(folder / MODELS_CONFIG)
    return None if model is None else split_base_path(model.base_path)[1]


def _read(file: Path) -> Any:
    """Returns the ModelConfig of the only model in the file; None if there is no file."""
    from google.protobuf.text_format import ParseError

    try:
        models = _parse(file.read_bytes()).model_config_list.config
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): make it readable. It holds the labels: do not delete it.") from error
    except (ValueError, ParseError) as error:
        reason = " ".join(str(error).split()) or "it is not text"
        raise InputError(f"{file} cannot be read ({reason}): correct it, or delete it.") from error
    if len(models) != 1 or STABLE not in models[0].version_labels:
        raise InputError(f"{file} must name one model with a version labelled {STABLE}: correct it, or delete it.")
    return models[0]


@lru_cache(maxsize=4)  # who waits for servers reads the file each second
def _parse(content: bytes) -> Any:
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    return text_format.Parse(content, ModelServerConfig())


def write_models_config(folder: Path, served: ServedModel, also: Collection[int] = (), now: float | None = None) -> None:
    """Writes `models.config`: a reader sees the old file or the new one, never a part, even after a loss of power.

    The versions with labels get links in all folders, so that servers find them that follow an older file.

    Args:
        folder: The folder of the versions.
        served: The content of the file.
        also: Further versions that are loaded, without a label.
        now: The time in unix seconds; by default that of the system.

    Raises:
        InputError: The file system has no links.
        OSError: The file cannot be written; the old one stays.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    for version in sorted(set(served.labels.values())):
        link_everywhere(folder, version)
    number = make_link_folder(folder, {*served.labels.values(), *also}, time.time() if now is None else now)
    config = ModelServerConfig()
    base_path = f"{served.base_path}/{SERVED}/{number}"
    model = config.model_config_list.config.add(name=served.name, base_path=base_path, model_platform="tensorflow")
    model.model_version_policy.all.SetInParent()
    for label, version in sorted(served.labels.items()):
        model.version_labels[label] = version
    write_durably(folder / MODELS_CONFIG, text_format.MessageToString(config))
