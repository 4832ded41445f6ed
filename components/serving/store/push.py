"""A push that is atomic and never repeats: at each moment, and wherever it is killed, the folder holds whole versions only."""

import logging
import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from components.base.atomic_files import sync
from components.base.errors import InputError
from components.serving.model.signature_page import SIGNATURES_FILE, describe_signatures
from components.serving.store.model_digest import model_digest
from components.serving.store.models_config import CANARY, STABLE, ServedModel, move_labels
from components.serving.store.versions import (
    PUSHING,
    WARM_UP_FILE,
    clear_leftovers,
    locked,
    read_rolled_back,
    remove_version,
    served_model,
    served_versions,
)

ANY_VERSION = -1


class PushRefused(InputError):
    """A sound model is not pushed, and nothing was changed."""


class RolledBack(PushRefused):
    """These very weights were served and rolled back."""


class StableMoved(PushRefused):
    """The stable version is another one than the model was compared with."""


class Pushed(NamedTuple):
    """What a push came to.

    Attributes:
        version: Where the weights are now.
        unchanged: These very weights had a label before, so that TF Serving served them already.
    """

    version: int
    unchanged: bool


def push(
    saved_model: Path,
    base: Path,
    *,
    warm_up: Path | None = None,
    keep: int = 5,
    push_to: Literal["stable", "canary"] = "stable",
    base_path: str = "",
    pinned: Collection[int] = (),
    replaces: int | None = ANY_VERSION,
    poll_seconds: float = 0,
) -> Pushed:
    """Brings a SavedModel to `base/<version>/`, whole or not at all, labels it in `models.config`, and removes old versions.

    Versions are unix seconds and always grow. Weights that a kept version has already are not copied again: the labels move to it, be it
    the stable one, the canary, a superseded one, or one whose push was killed before its labels were written.

    Args:
        saved_model: What to push.
        base: Folder of the versions; its name is the model's.
        warm_up: Requests (TFRecord of PredictionLog) that TF Serving runs before it serves the version.
        keep: How many of the newest versions stay, and how many of the newest that were rolled back.
        push_to: `stable` labels it stable and canary, `canary` as canary alone unless it is the first.
        base_path: Where TF Serving sees `base`, if not at its absolute path.
        pinned: Further versions that stay.
        replaces: The version that was stable when the model was compared with it; None if there was none. By default it is not checked.
        poll_seconds: How often a TF Serving reads `models.config`; twice that long the new version is loaded before the labels move.

    Raises:
        RolledBack: A kept version has these weights, and was rolled back.
        StableMoved: Another version than `replaces` is stable by now.
        InputError: `models.config` or `rolled_back` cannot be read.
        OSError: The copy failed, on a full disk for instance; nothing of it remains.
    """
    base.mkdir(parents=True, exist_ok=True)
    with locked(base):
        clear_leftovers(base)
        before = served_model(base)
        labels = before.labels if before else {}
        if replaces not in (ANY_VERSION, labels.get(STABLE)):
            raise StableMoved(_explain_move(base, replaces, labels.get(STABLE)))
        version = _same_weights(saved_model, base)
        if version in read_rolled_back(base):
            again = f"din rollback --name {base.name} --to {version}"
            raise RolledBack(f"these very weights are version {version}, which was rolled back: {again} serves it again.")
        unchanged = version in labels.values()
        if version is None:
            version = _copy_in(saved_model, base, warm_up)
        moved = (CANARY,) if push_to == CANARY and STABLE in labels else (CANARY, STABLE)
        served = ServedModel(base.name, base_path or str(base.absolute()), {**labels, **dict.fromkeys(moved, version)})
        move_labels(base, served, poll_seconds)
        versions, rolled_back = served_versions(base), read_rolled_back(base)
        sound, bad = ([v for v in versions if (v in rolled_back) == is_bad] for is_bad in (False, True))
        stay = {*sound[-keep:], *bad[-keep:], *served.labels.values(), *pinned}  # the bad ones so that they are known again
        for old in versions:
            if old not in stay:
                remove_version(base, old)
    return Pushed(version, unchanged)


def _explain_move(base: Path, then: int | None, now: int | None) -> str:
    was, is_now = (f"version {version}" if version is not None else "no version" for version in (then, now))
    return (
        f"{was} of {base.name} was stable when the run started, but {is_now} is stable now, so the model was never compared with what it "
        "would replace: start the run again."
    )


def _same_weights(saved_model: Path, base: Path) -> int | None:
    """The newest version that answers as `saved_model` does; None if none of them does."""
    digest = model_digest(saved_model)
    for version in reversed(served_versions(base)):
        try:
            if model_digest(base / str(version)) == digest:
                return version
        except Exception:  # TensorFlow's many ways to say that somebody damaged it
            logging.warning("%s cannot be read, so nothing is known to equal it", base / str(version), exc_info=True)
    return None


def _copy_in(saved_model: Path, base: Path, warm_up: Path | None) -> int:
    """Copies beside the versions under a name that TF Serving skips, has it on the disk, and renames it to its number."""
    version = max([int(time.time()), *(last + 1 for last in served_versions(base))])
    aside = base / f"{PUSHING}{version}"
    try:
        shutil.copytree(saved_model, aside)
        if warm_up is not None:
            (aside / WARM_UP_FILE).parent.mkdir(exist_ok=True)
            shutil.copyfile(warm_up, aside / WARM_UP_FILE)
        (aside / SIGNATURES_FILE).write_text(describe_signatures(saved_model, base.name), encoding="utf-8")
        for folder, _, files in os.walk(aside):
            for path in (*(Path(folder, file) for file in files), Path(folder)):
                sync(path)
        aside.rename(base / str(version))
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(base)
    return version
