"""The baseline of a run: the model now served under its name, or another one that the run names."""

import hashlib
import os
from pathlib import Path

from tfx.utils import path_utils

from components.base.errors import InputError
from components.base.fingerprint import file_fingerprint
from components.serving.model.exported_features import read_features
from components.serving.store.models_config import STABLE
from components.serving.store.versions import read_rolled_back, served_model, served_versions
from pipeline.configuration.pipeline_config import PipelineConfig


def _check_comparable(config: PipelineConfig, served: Path) -> None:
    declared = {column.name: column.dtype for column in config.features.columns}
    unknown = [column.name for column in read_features(served).columns if declared.get(column.name) != column.dtype]
    if unknown:
        raise InputError(
            f"{served}, the baseline of {config.name!r}, reads {', '.join(unknown)}, which this configuration lacks or types otherwise, so "
            "that the two cannot be compared: give this one another name (--set name=…)."
        )


def _stable_version(serving: Path) -> int | None:
    """The version labelled stable; the newest sound one if that one was rolled back, by a rollback that was cut off before the labels."""
    served, rolled_back = served_model(serving), read_rolled_back(serving)
    if served is None or served.labels[STABLE] not in rolled_back:
        return served.labels[STABLE] if served else None
    return max(set(served_versions(serving)) - rolled_back, default=None)


def _chosen(config: PipelineConfig, serving: Path) -> Path | None:
    """The SavedModel that `evaluation.baseline` names."""
    choice = config.evaluation.baseline
    if choice == "none":
        return None
    versions = served_versions(serving)
    if choice == "served":
        stable = _stable_version(serving)
        return None if stable is None else serving / str(stable)
    if choice.isdecimal():
        if int(choice) not in versions:
            raise InputError(f"{serving} has no version {choice}: evaluation.baseline can be {', '.join(map(str, versions)) or 'none'}.")
        return serving / choice
    if not Path(choice).is_dir():
        raise InputError(f"evaluation.baseline is {choice!r}: it can be served, none, a version of {serving}, or a SavedModel.")
    return Path(choice).absolute()


def _content(model: Path) -> str:
    """SHA-256, shortened, over the files of a model."""
    digest = hashlib.sha256()
    for file in sorted(path for path in model.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(model)} {file_fingerprint(str(file))} ".encode())
    return digest.hexdigest()[:12]


def link_baseline(config: PipelineConfig, serving: Path, folder: Path) -> Path | None:
    """Lays the baseline out as TFX lays out models, by a relative link, so that nothing is copied and a workspace may move.

    Args:
        config: Of the run.
        serving: The served versions of its name.
        folder: Where the links of all baselines lie.

    Returns:
        The folder of this baseline's link, named as the baseline's own; None if there is none.

    Raises:
        InputError: There is no such model, or it reads features that the configuration lacks, so that the two cannot be compared; or what
            is served cannot be told.
    """
    model = _chosen(config, serving)
    if model is None:
        return None
    _check_comparable(config, model)
    # TFX's cache knows a baseline by its link's folder, and what lies elsewhere may be written anew.
    place = model.name if model.parent == serving else f"{model.name}-{_content(model)}"
    link = Path(path_utils.serving_model_dir(str(folder / place)))
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() != model.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(model, link.parent))
    return folder / place
