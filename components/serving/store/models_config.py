"""Reads and writes `models.config`, which lies beside the versions of a model: which of them TF Serving loads, and their labels.

It is the text form of TF Serving's `ModelServerConfig`, for the flags `--model_config_file` and `--model_config_file_poll_wait_seconds`. It
also needs `--allow_version_labels_for_unavailable_models`: without that flag TF Serving accepts no labels when it starts, because nothing
is loaded yet.
"""

import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from components.base.atomic_files import write_durably
from components.base.errors import InputError

MODELS_CONFIG = "models.config"
STABLE, CANARY = "stable", "canary"
POLL_SECONDS = 5.0  # how often TF Serving reads the file; the same as in `deploy/serving`


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
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    file = folder / MODELS_CONFIG
    try:
        parsed = text_format.Parse(file.read_bytes(), ModelServerConfig())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}): make it readable. It holds the labels: do not delete it."
        ) from error
    except (ValueError, text_format.ParseError) as error:
        reason = " ".join(str(error).split()) or "it is not text"
        raise InputError(f"{file} cannot be read ({reason}): correct it, or delete it.") from error
    models = parsed.model_config_list.config
    if len(models) != 1 or STABLE not in models[0].version_labels:
        raise InputError(f"{file} must name one model with a version labelled {STABLE}: correct it, or delete it.")
    model = models[0]
    for version in sorted({*model.model_version_policy.specific.versions, *model.version_labels.values()}):
        if not (folder / str(version)).is_dir():
            raise InputError(f"{file} names version {version}, which is not there: correct it, or delete it.")
    return ServedModel(model.name, model.base_path, dict(sorted(model.version_labels.items())))


def move_labels(folder: Path, served: ServedModel, poll_seconds: float) -> None:
    """Writes `models.config` in steps that a running TF Serving can follow.

    TF Serving refuses a file that moves a label to a version which is not loaded, and at each later poll it refuses the file again without
    loading the version (`ServerCore::ReloadConfig` in its sources). So the first step keeps the old labels and names the new versions
    without a label, for two polls; the second step moves the labels.

    Args:
        folder: The folder of the versions.
        served: What must be served in the end.
        poll_seconds: How often TF Serving reads the file; 0 if nothing polls.

    Raises:
        InputError: As for `read_models_config`.
        OSError: The file cannot be written; the last one that was written stays.
    """
    before = read_models_config(folder)
    if before is not None and poll_seconds and (new := set(served.labels.values()) - set(before.labels.values())):
        write_models_config(folder, served._replace(labels=before.labels), also=new)
        time.sleep(2 * poll_seconds)
    write_models_config(folder, served)


def write_models_config(folder: Path, served: ServedModel, also: Collection[int] = ()) -> None:
    """Writes `models.config`: a reader sees the old file or the new one, never a part, even after a loss of power.

    Args:
        folder: The folder of the versions.
        served: The content of the file.
        also: Further versions that are loaded, without a label.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=served.name, base_path=served.base_path, model_platform="tensorflow")
    model.model_version_policy.specific.versions.extend(sorted({*served.labels.values(), *also}))
    for label, version in sorted(served.labels.items()):
        model.version_labels[label] = version
    write_durably(folder / MODELS_CONFIG, text_format.MessageToString(config))
