"""Pushes a model into a folder of served versions: each version there is always whole, and the same weights are never pushed twice."""

import contextlib
import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from components.base.atomic_files import sync
from components.base.errors import InputError
from components.serving.model.signature_page import SIGNATURES_FILE, describe_signatures
from components.serving.store.model_digest import model_digest, read_digest, write_digest
from components.serving.store.models_config import CANARY, STABLE, ServedModel, move_labels
from components.serving.store.versions import (
    PUSHING,
    WARM_UP_FILE,
    clear_leftovers,
    locked,
    next_version,
    read_rolled_back,
    remove_version,
    served_model,
    served_versions,
    write_pushed_by,
)

ANY_VERSION = -1  # the default of `replaces`, which is no version


class PushRefused(InputError):
    """A good model is not pushed, and no version and no label was changed. The message is one sentence."""


class RolledBack(PushRefused):
    """The same weights were served before and rolled back."""


class StableMoved(PushRefused):
    """The stable version is not the one that was stable when the run started."""


class Pushed(NamedTuple):
    """The result of a push.

    Attributes:
        version: The version that has the weights.
        unchanged: Whether this version had a label before the push, so that TF Serving served these weights already.
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
    run_id: str | None = None,
) -> Pushed:
    """Copies a SavedModel to `base/<version>/`, whole or not at all, labels it in `models.config`, and removes old versions.

    A version is the time of the push in unix seconds; versions always grow. If a kept version has the same weights, nothing is copied and
    the labels move to that version: it may be the stable one, the canary, a superseded one, or one whose push was killed before it got its
    labels.

    Args:
        saved_model: The folder of the model.
        base: The folder of the versions; its name is the name of the model.
        warm_up: Requests (TFRecord of PredictionLog) that TF Serving runs before it serves the version.
        keep: How many of the newest good versions stay, and how many of the newest that were rolled back.
        push_to: `stable` gives the version both labels; `canary` gives it the label canary alone, except to the first version.
        base_path: Where TF Serving sees `base`; empty for its absolute path.
        pinned: Further versions that stay.
        replaces: The version that was stable when the run started, None if there was none. The push is refused if another one is stable
            now. By default this is not checked.
        poll_seconds: How often TF Serving reads `models.config`: it gets two polls to load the version before the labels move; 0 if nothing
            polls.
        run_id: The run that pushes. It is recorded in the folder of the version, so that a run that is killed keeps what it pushed.

    Raises:
        RolledBack: A kept version has the same weights, and was rolled back.
        StableMoved: The stable version is not `replaces`.
        InputError: `models.config` or `rolled_back` cannot be read.
        OSError: The copy failed, for example on a full disk; it was removed.
    """
    digest = model_digest(saved_model)  # before the lock is taken, since it reads all weights
    base.mkdir(parents=True, exist_ok=True)
    with locked(base):
        clear_leftovers(base)
        before = served_model(base)
        labels = before.labels if before else {}
        if replaces not in (ANY_VERSION, labels.get(STABLE)):
            was, now = ("no version" if stable is None else f"version {stable}" for stable in (replaces, labels.get(STABLE)))
            raise StableMoved(
                f"{was} of {base.name} was stable when the run started, but {now} is stable now, so the model was never compared with what "
                "it would replace: start the run again."
            )
        version = _version_with(digest, base)
        if version in read_rolled_back(base):
            again = f"din rollback --name {base.name} --to {version}"
            raise RolledBack(f"these very weights are version {version}, which was rolled back: {again} serves it again.")
        unchanged = version in labels.values()
        if version is None:
            version = _copy_in(saved_model, digest, base, warm_up, run_id)
        moved = (CANARY,) if push_to == CANARY and STABLE in labels else (CANARY, STABLE)
        served = ServedModel(base.name, base_path or str(base.absolute()), {**labels, **dict.fromkeys(moved, version)})
        move_labels(base, served, poll_seconds)
        _remove_old(base, keep, {*served.labels.values(), *pinned})
    return Pushed(version, unchanged)


def _version_with(digest: str, base: Path) -> int | None:
    """Returns the newest version with a digest; None if there is none.

    A recorded digest only excludes a version. Before two models count as equal, the weights of the version are read: they or the record may
    be damaged. Versions without a readable record, as in older workspaces, are read as well, once: their digest is recorded then.
    """
    for version in reversed(served_versions(base)):
        folder = base / str(version)
        recorded = read_digest(folder)
        if recorded not in (None, digest):
            continue
        try:
            found = model_digest(folder)
        except Exception:  # a damaged version raises many kinds of errors in TensorFlow
            logging.warning("%s cannot be read: it is not compared with the model that is pushed", folder, exc_info=True)
            continue
        if found != recorded:
            with contextlib.suppress(OSError):  # it is computed again next time
                write_digest(folder, found)
        if found == digest:
            return version
    return None


def _copy_in(saved_model: Path, digest: str, base: Path, warm_up: Path | None, run_id: str | None) -> int:
    """Copies the model to a name that TF Serving skips, waits until it is on the disk, and renames it to its version number."""
    version = next_version(base)
    aside = base / f"{PUSHING}{version}"
    try:
        shutil.copytree(saved_model, aside)
        if warm_up is not None:
            (aside / WARM_UP_FILE).parent.mkdir(exist_ok=True)
            shutil.copyfile(warm_up, aside / WARM_UP_FILE)
        (aside / SIGNATURES_FILE).write_text(describe_signatures(saved_model, base.name), encoding="utf-8")
        write_digest(aside, digest)
        if run_id is not None:
            write_pushed_by(aside, run_id)
        for folder, _, files in os.walk(aside):
            for path in (*(Path(folder, file) for file in files), Path(folder)):
                sync(path)
        aside.rename(base / str(version))
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(base)
    return version


def _remove_old(base: Path, keep: int, needed: Collection[int]) -> None:
    """Removes all versions but the needed, the newest good, and the newest rolled-back ones, whose weights push must recognise."""
    versions, rolled_back = served_versions(base), read_rolled_back(base)
    good, bad = ([version for version in versions if (version in rolled_back) == is_bad] for is_bad in (False, True))
    for old in sorted(set(versions) - {*good[-keep:], *bad[-keep:], *needed}):
        remove_version(base, old)
