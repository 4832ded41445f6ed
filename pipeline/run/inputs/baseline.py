"""The baseline of a run, which its model is compared with: by default the version that is served as stable."""

import hashlib
import os
from pathlib import Path

from tfx.utils import path_utils

from components.base.errors import InputError
from components.base.fingerprint import file_fingerprint
from components.serving.model.exported_features import read_features
from components.serving.model.foreign_ops import refuse_foreign_operations
from components.serving.store.models_config import STABLE
from components.serving.store.versions import read_rolled_back, served_model, served_versions, sound_versions
from pipeline.configuration.pipeline_config import PipelineConfig


def _check_comparable(config: PipelineConfig, served: Path) -> None:
    declared = {column.name: column.dtype for column in config.features.columns}
    unknown = [column.name for column in read_features(served).columns if declared.get(column.name) != column.dtype]
    if unknown:
        raise InputError(
            f"{served}, the baseline of {config.name!r}, reads {', '.join(unknown)}, which this configuration lacks or gives another type, "
            "so the two models cannot be compared: give this configuration another name (--set name=…)."
        )


def stable_version(serving: Path) -> int | None:
    """Returns the version that is labelled stable; None if nothing is served.

    Raises:
        InputError: `models.config` cannot be read, or names a version that is not there.
    """
    served = served_model(serving)
    return served.labels[STABLE] if served else None


def sound_version(serving: Path) -> int | None:
    """Returns the stable version. If it was rolled back, by a rollback that was killed before it moved the labels: the newest sound one."""
    stable, rolled_back = stable_version(serving), read_rolled_back(serving)
    return stable if stable not in rolled_back else max(sound_versions(serving), default=None)


def _find_baseline(config: PipelineConfig, serving: Path) -> Path | None:
    """Returns the SavedModel that `evaluation.baseline` names; None if there is none."""
    choice = config.evaluation.baseline
    if choice == "none":
        return None
    versions = served_versions(serving)
    if choice == "served":
        version = sound_version(serving)
        return None if version is None else serving / str(version)
    if choice.isdecimal():
        if int(choice) not in versions:
            raise InputError(f"{serving} has no version {choice}: evaluation.baseline can be {', '.join(map(str, versions)) or 'none'}.")
        return serving / choice
    if not Path(choice).is_dir():
        raise InputError(f"evaluation.baseline is {choice!r}: it can be served, none, a version of {serving}, or a SavedModel.")
    refuse_foreign_operations(Path(choice))
    return Path(choice).absolute()


def _content_hash(model: Path) -> str:
    """Returns a shortened SHA-256 of the files of a model."""
    digest = hashlib.sha256()
    for file in sorted(path for path in model.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(model)} {file_fingerprint(str(file))} ".encode())
    return digest.hexdigest()[:12]


def link_baseline(config: PipelineConfig, serving: Path, folder: Path) -> Path | None:
    """Makes a folder in the layout of TFX's models that links to the baseline. The link is relative, so a workspace can be moved.

    Args:
        config: The configuration of the run.
        serving: Folder of the served versions of its name.
        folder: Folder of the links of all baselines.

    Returns:
        The folder that holds this baseline's link; None if there is no baseline.

    Raises:
        InputError: There is no such model, it reads features that the configuration lacks, it does more than compute, or `models.config`
            cannot be read.
    """
    model = _find_baseline(config, serving)
    return None if model is None else _link(config, model, serving, folder)


def link_served(config: PipelineConfig, serving: Path, folder: Path) -> Path | None:
    """As `link_baseline`, for the version that is served now, whatever the baseline is."""
    stable = stable_version(serving)
    return None if stable is None else _link(config, serving / str(stable), serving, folder)


def _link(config: PipelineConfig, model: Path, serving: Path, folder: Path) -> Path:
    _check_comparable(config, model)
    # TFX's cache knows a baseline by this folder's name. A version never changes, but a model in another folder may.
    place = model.name if model.parent == serving else f"{model.name}-{_content_hash(model)}"
    link = Path(path_utils.serving_model_dir(str(folder / place)))
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() != model.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(model, link.parent))
    return folder / place
