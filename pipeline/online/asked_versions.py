"""Reads `models.config` as TF Serving does: which versions are asked for, with or without a label, and where they are."""

import re
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG

_LINKS = re.compile(r"/(served(?:/\d+)?)/?$")  # a folder of links beside the versions


class Asked(NamedTuple):
    """What a `models.config` asks for.

    Attributes:
        name: The name of the model.
        labels: The version of each label.
        named: The versions to load; None for all that are in the folder.
        folder: Where they are.
    """

    name: str
    labels: dict[str, int]
    named: frozenset[int] | None
    folder: Path

    def versions(self) -> frozenset[int]:
        """Returns the versions to load: those of the folder now, if all are asked for.

        Raises:
            OSError: The folder cannot be read.
        """
        return versions_in(self.folder) if self.named is None else self.named


def versions_in(folder: Path) -> frozenset[int]:
    """Returns the versions in a folder.

    Raises:
        OSError: The folder cannot be read.
    """
    return frozenset(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and int(path.name) < 1 << 63)


def read_asked(folder: Path) -> Asked:
    """Reads the `models.config` of a folder of versions, which TF Serving may see at another place: `base_path` counts from there on.

    Raises:
        InputError: The file cannot be read, or it does not name one model with its versions.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    file = folder / MODELS_CONFIG
    try:
        models = text_format.Parse(file.read_bytes(), ModelServerConfig()).model_config_list.config
    except (OSError, ValueError, text_format.ParseError) as error:
        raise InputError(f"{file} cannot be read ({' '.join(str(error).split())})") from error
    policy = models[0].model_version_policy if len(models) == 1 else None
    if policy is None or policy.WhichOneof("policy_choice") not in ("all", "specific"):
        raise InputError(f"{file} does not name one model with all or specific versions")
    links = _LINKS.search(models[0].base_path)
    named = None if policy.HasField("all") else frozenset(policy.specific.versions)
    return Asked(models[0].name, dict(models[0].version_labels), named, folder / links[1] if links else folder)
