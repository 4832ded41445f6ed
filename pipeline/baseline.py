"""The baseline of a run: the model now served under its name."""

import os
from pathlib import Path

from tfx.utils import path_utils

from components.atomic_pusher import served_versions
from pipeline.config import PipelineConfig
from pipeline.errors import InputError
from pipeline.exported import read_features


def _check_comparable(config: PipelineConfig, served: Path) -> None:
    declared = {column.name: column.dtype for column in config.features.columns}
    unknown = [column.name for column in read_features(served).columns if declared.get(column.name) != column.dtype]
    if unknown:
        raise InputError(
            f"{served}, now served as {config.name!r}, reads {', '.join(unknown)}, which this configuration lacks or types otherwise, so "
            "that the two cannot be compared: give this one another name (--set name=…)."
        )


def link_baseline(config: PipelineConfig, serving: Path, folder: Path) -> Path | None:
    """Lays the served version out as TFX lays out models, by a relative link, so that nothing is copied and a workspace may move.

    Args:
        config: Of the run.
        serving: The served versions of its name.
        folder: Where the links of all versions lie.

    Returns:
        The folder of this version's link; None if nothing is served.

    Raises:
        InputError: The served model reads features that the configuration lacks, so that the two cannot be compared.
    """
    versions = served_versions(serving)
    if not versions:
        return None
    served = serving / str(versions[-1])
    _check_comparable(config, served)
    version = folder / served.name
    link = Path(path_utils.serving_model_dir(str(version)))
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() != served.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(served, link.parent))
    return version
