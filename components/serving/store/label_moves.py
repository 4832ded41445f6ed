"""Moves labels so that no server is ever stuck, and no label points to a version that its server has not loaded.

What TF Serving does was read in its sources (2.19):

* Each `--model_config_file_poll_wait_seconds` it reads `models.config` and reloads it, whether the file has changed or not
  (Server::PollFilesystemAndReloadConfig).
* It first checks **all** labels of the file (ServerCore::UpdateModelVersionLabelMap). A label may get a version that is AVAILABLE, and with
  `--allow_version_labels_for_unavailable_models` the version that it has already, or any version if the server does not have the label.
  Otherwise the whole file is refused, and its versions are not looked at (ServerCore::ReloadConfig).
* Independently of that, each second it looks for the versions that the last **accepted** file asks for
  (FileSystemStoragePathSource::PollFileSystemAndInvokeCallback).
* It loads one version at a time. A load that fails is tried again 5 times, 60 s apart, and nothing else is loaded or unloaded meanwhile
  (LoaderHarness::Load, with no load threads). Until then the state is LOADING, then END with the error.
* It unloads what is no longer asked for once a version that is asked for is loaded (AvailabilityPreservingPolicy::GetNextAction). A version
  that is asked for again in the meantime holds up all loads until it is unloaded (HandlePendingAspiredVersionsRequests).
* When it starts, it accepts any labels, since it has none yet.

If `models.config` named the versions to load, a server that refuses it, because its labels wait for a version, would never load that
version: it would be stuck for ever. So it names a folder of links (`components.serving.store.served_links`), and a new version gets a link
in all such folders. Every server loads it by the file that it accepted last, and then accepts the new one, however late or slow it is, and
whatever could not be loaded before. At that moment its labels and its versions change together.
"""

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

from components.serving.servers.waiting import LabelsMoved, NotServed, Servers, not_labelled, not_loaded, states_of, wait
from components.serving.store.models_config import MODELS_CONFIG, ServedModel, link_folder, read_models_config, write_models_config
from components.serving.store.publication import NotPublished, publish
from components.serving.store.served_links import link_everywhere, link_folders, remove_link_folders
from components.serving.store.versions import locked, mark_not_loaded

_FOLDERS = 20  # so many folders of links stay: a server that misses more changes than that must be started again


def ask_for_links(base: Path, servers: Servers) -> None:
    """Replaces a `models.config` of an older release, which names versions, by one with the same labels and a folder of links."""
    with locked(base):
        before = read_models_config(base)
        if before is None or link_folder(base) is not None:
            return
        write_models_config(base, before, now=servers.clock.time())
    servers.clock.sleep(2 * servers.poll_seconds)


def move_labels(
    base: Path,
    number: int | None,
    served: ServedModel,
    servers: Servers,
    commit: Callable[[], None] = lambda: None,
    forced: bool = False,
) -> None:
    """Moves labels to versions that all servers have loaded; if one of them cannot load them, everything is as before.

    Args:
        base: The folder of the versions.
        number: The folder of links when the change was decided; None if there was no `models.config`, so that no server can run.
        served: What `models.config` must say.
        servers: The servers. Where none is asked, the file is written at once: a server follows when it has loaded the versions.
        commit: Called with the folder locked, right before the labels move.
        forced: Whether servers that give no answer are not waited for, and labels that moved stay there in any case.

    Raises:
        LabelsMoved: The labels were moved by somebody else.
        NotServed: A server cannot load a version, or does not move the labels, within the time, or the store in which it looks cannot be
            written.
    """
    states = [states_of(server) for server in servers.asked]
    with locked(base):
        _check(base, number)
        before = read_models_config(base)
        if before is None or not servers.asked:
            commit()
            if before == served:
                return
            _unmark(base, served)
            earlier = set(before.labels.values()) if before and servers.poll_seconds else set()
            also = {version for version in earlier if version < max(served.labels.values())}
            write_models_config(base, served, also, servers.clock.time())
            _forget_link_folders(base)
            return
        new = set(served.labels.values()) - set(before.labels.values())
        for version in new:
            link_everywhere(base, version)
    written: int | None = None
    clock = servers.clock
    deadline = servers.clock.monotonic() + servers.wait_seconds
    as_before = "the version was withdrawn, and the labels are where they were"
    try:
        publish(base, clock.time())  # servers may look into the store alone
        once = servers._replace(say=lambda sentence: None)  # the second wait says which servers give no answer
        wait(once, deadline, lambda: _check(base, number), not_loaded(base, servers, new, states), as_before, forced)
        with locked(base):
            _check(base, number)
            commit()
            _unmark(base, served)
            write_models_config(base, served, now=servers.clock.time())
            written = link_folder(base)
        publish(base, clock.time())
        ending = f"{MODELS_CONFIG} has the new labels" if forced else as_before
        wait(servers, deadline, lambda: _check(base, written), not_labelled(served, servers), ending, forced)
    except NotServed as error:
        if not (forced and written):
            _take_back(base, written or number, before, new, str(error), servers)
            if isinstance(error, NotPublished):
                raise NotServed(f"{error.why}: {as_before}.") from error
        raise
    except KeyboardInterrupt:
        if not written:
            _take_back(base, number, before, new, None, servers)
        raise
    with locked(base):
        _forget_link_folders(base)


def _unmark(base: Path, served: ServedModel) -> None:
    for version in set(served.labels.values()):
        mark_not_loaded(base, version, None)


def _forget_link_folders(base: Path) -> None:
    remove_link_folders(base, link_folders(base)[:-_FOLDERS])


def _take_back(base: Path, number: int | None, before: ServedModel, new: Collection[int], reason: str | None, servers: Servers) -> None:
    """Gives `models.config` the labels of before, unless somebody else moved them, and a folder of links without the new versions."""
    with locked(base):
        if reason is not None:
            for version in new:
                mark_not_loaded(base, version, reason)
        if link_folder(base) == number:
            write_models_config(base, before, now=servers.clock.time())
    with contextlib.suppress(NotPublished):  # the next publication repeats it
        publish(base, servers.clock.time())


def _check(base: Path, number: int | None) -> None:
    """Refuses to go on if somebody else wrote `models.config`, which then names another folder of links."""
    if link_folder(base) != number:
        now = read_models_config(base)
        labels = sorted(now.labels.items(), reverse=True) if now else []
        shown = ", ".join(f"{label} {version}" for label, version in labels) or "no label"
        raise LabelsMoved(f"somebody moved the labels of {base.name} in the meantime (now {shown}): start again from there.")
