"""`models.config` beside the versions: which of them TF Serving loads, and by which labels they are asked for.

The text form of TF Serving's own `ModelServerConfig`, for `--model_config_file` with `--model_config_file_poll_wait_seconds`, and with
`--allow_version_labels_for_unavailable_models`, without which no label can be given at start-up, when nothing is loaded yet.
"""

import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from components.base.atomic_files import write_durably
from components.base.errors import InputError

MODELS_CONFIG = "models.config"
STABLE, CANARY = "stable", "canary"
POLL_SECONDS = 5.0  # how often TF Serving reads the file, as `deploy/serving` has it


class ServedModel(NamedTuple):
    """What TF Serving is told to serve.

    Attributes:
        name: Of the model in requests.
        base_path: Where TF Serving sees the folder of versions: an absolute path, or a URI.
        labels: Version by label; these versions are loaded.
    """

    name: str
    base_path: str
    labels: dict[str, int]


def read_models_config(folder: Path) -> ServedModel | None:
    """What the `models.config` of a folder of versions says; None if there is none.

    Raises:
        InputError: It is no configuration of one model with a stable version, or names a version that is not there.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    file = folder / MODELS_CONFIG
    try:
        parsed = text_format.Parse(file.read_bytes(), ModelServerConfig())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, text_format.ParseError) as error:
        reason = " ".join(str(error).split()) or "it is no text"
        raise InputError(f"{file} cannot be read ({reason}): mend it, or delete it.") from error
    models = parsed.model_config_list.config
    if len(models) != 1 or STABLE not in models[0].version_labels:
        raise InputError(f"{file} is to name one model with a version labelled {STABLE}: mend it, or delete it.")
    model = models[0]
    for version in sorted({*model.model_version_policy.specific.versions, *model.version_labels.values()}):
        if not (folder / str(version)).is_dir():
            raise InputError(f"{file} names version {version}, which is not there: mend it, or delete it.")
    return ServedModel(model.name, model.base_path, dict(sorted(model.version_labels.items())))


def move_labels(folder: Path, served: ServedModel, poll_seconds: float) -> None:
    """Writes `models.config` in the steps in which a running TF Serving can follow.

    It refuses to move a label to a version that it has not loaded, and goes on to refuse it at each poll without loading anything
    (`ServerCore::ReloadConfig` in its sources). So such versions are named beside the old labels first, for two polls, and then get theirs.

    Args:
        folder: Of the versions.
        served: What is to be served in the end.
        poll_seconds: How often TF Serving reads the file; 0 if nothing polls.

    Raises:
        InputError: As `read_models_config`.
        OSError: It cannot be written; what was written last stands.
    """
    before = read_models_config(folder)
    if before is not None and poll_seconds and (new := set(served.labels.values()) - set(before.labels.values())):
        write_models_config(folder, served._replace(labels=before.labels), also=new)
        time.sleep(2 * poll_seconds)
    write_models_config(folder, served)


def write_models_config(folder: Path, served: ServedModel, also: Collection[int] = ()) -> None:
    """Writes `models.config`: whoever reads sees the old one or the new one, even after a loss of power.

    Args:
        folder: Of the versions.
        served: What it says.
        also: Further versions that are loaded, without a label.

    Raises:
        OSError: It cannot be written; the old one stands.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=served.name, base_path=served.base_path, model_platform="tensorflow")
    model.model_version_policy.specific.versions.extend(sorted({*served.labels.values(), *also}))
    for label, version in sorted(served.labels.items()):
        model.version_labels[label] = version
    write_durably(folder / MODELS_CONFIG, text_format.MessageToString(config))
