"""Pushes a model into a folder of served versions: each version there is always whole, and the same weights are never pushed twice."""

import contextlib
import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from components.base.atomic_files import sync
from components.serving.model.signature_page import SIGNATURES_FILE, describe_signatures
from components.serving.servers.waiting import NOBODY, PushRefused, Servers, loading, refuse_unreachable
from components.serving.store.label_moves import ask_for_links, move_labels
from components.serving.store.model_digest import model_digest, read_digest, write_digest
from components.serving.store.models_config import CANARY, STABLE, ServedModel, link_folder, read_models_config
from components.serving.store.served_links import linked_versions, versions_since
from components.serving.store.versions import (
    PUSHING,
    WARM_UP_FILE,
    clear_leftovers,
    locked,
    locked_for_push,
    mark_new,
    next_version,
    read_rolled_back,
    remove_version,
    served_model,
    served_versions,
    sound_versions,
    write_pushed_by,
    write_servers,
    write_store,
)

ANY_VERSION = -1  # the default of `replaces`, which is no version


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
    store: str = "",
    pinned: Collection[int] = (),
    replaces: int | None = ANY_VERSION,
    servers: Servers = NOBODY,
    run_id: str | None = None,
) -> Pushed:
    """Copies a SavedModel to `base/<version>/`, whole or not at all, labels it in `models.config`, and removes old versions.

    A version is the time of the push in unix seconds; versions always grow. If a kept version has the same weights, nothing is copied and
    the labels move to that version: it may be the stable one, the canary, a superseded one, one that a server could not load, or one whose
    push was killed before it got its labels. While a push waits for servers, a rollback or a promotion may come between: the push then ends
    with an error and leaves the labels to them.

    Args:
        saved_model: The folder of the model.
        base: The folder of the versions; its name is the name of the model.
        warm_up: Requests (TFRecord of PredictionLog) that TF Serving runs before it serves the version.
        keep: How many of the newest good versions stay, and how many of the newest that were rolled back or could not be loaded.
        push_to: `stable` gives the version both labels; `canary` gives it the label canary alone, except to the first version.
        base_path: Where TF Serving sees `base` or its store; empty for the URL of the store, or for the absolute path of `base`.
        store: The URL of the folder in a store that must have what is served. It is recorded for `components.serving.store.publication`,
            which the caller calls after the push; servers that are asked get it during the push.
        pinned: Further versions that stay.
        replaces: The version that was stable when the run started, None if there was none. The push is refused if another one is stable
            now. By default this is not checked.
        servers: The servers that read the folder. The first version is pushed without them, because none can run without a version.
        run_id: The run that pushes. It is recorded in the folder of the version when the labels move, so that a run that is killed keeps
            what it pushed.

    Raises:
        RolledBack: A kept version has the same weights, and was rolled back.
        StableMoved: The stable version is not `replaces`.
        NotServed: A server cannot be reached, cannot load the version, or does not move the labels.
        LabelsMoved: The labels were moved while servers were waited for.
        InputError: `models.config` or `rolled_back` cannot be read.
        OSError: The copy failed, for example on a full disk; it was removed.
    """
    digest = model_digest(saved_model)  # before a lock is taken, since it reads all weights
    base.mkdir(parents=True, exist_ok=True)
    with locked_for_push(base):
        with locked(base):
            clear_leftovers(base)
        is_first = read_models_config(base) is None
        if not is_first:
            refuse_unreachable(base, servers)
            ask_for_links(base, servers)
        with locked(base):
            number, before = link_folder(base), served_model(base)
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
            version = _copy_in(saved_model, digest, base, warm_up)
        place = base / str(version)
        moved = (CANARY,) if push_to == CANARY and STABLE in labels else (CANARY, STABLE)
        served = ServedModel(base.name, base_path or store or str(base.absolute()), {**labels, **dict.fromkeys(moved, version)})
        write_servers(base, [server.url for server in servers.asked])
        write_store(base, store)
        move_labels(base, number, served, servers, lambda: None if unchanged or run_id is None else write_pushed_by(place, run_id))
        unasked = bool(servers.poll_seconds) and not servers.asked
        with locked(base):
            # a server that is not asked may be late: what it loads or labels stays for some more pushes, and for some minutes
            late = versions_since(base, servers.clock.time() - servers.wait_seconds) if unasked else loading(servers)
            _remove_old(base, keep, {*_loaded(base), *late, *pinned})
        if is_first and servers.asked:
            servers.say(f"Version {version} is the first of {base.name}, so no server was asked: din status asks them once they run.")
        elif unasked:
            kept = " and ".join(map(str, _loaded(base)))
            servers.say(
                f"No server was asked whether it can load version {version} of {base.name}, because serving.servers names none. Each "
                f"server moves its labels when it has loaded the version, and loads {kept} until the next push."
            )
    return Pushed(version, unchanged)


def _loaded(base: Path) -> list[int]:
    """Returns the versions that servers load when they follow `models.config`."""
    number = link_folder(base)
    return [] if number is None else linked_versions(base, number)


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


def _copy_in(saved_model: Path, digest: str, base: Path, warm_up: Path | None) -> int:
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
        mark_new(aside)
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
    """Removes all versions but the needed, the newest good, and the newest bad ones, whose weights push must recognise."""
    versions = served_versions(base)
    sound = sound_versions(base)
    bad = sorted(set(versions) - set(sound))
    for old in sorted(set(versions) - {*sound[-keep:], *bad[-keep:], *needed}):
        remove_version(base, old)
