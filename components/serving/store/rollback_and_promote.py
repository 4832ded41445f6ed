"""`din rollback` and `din promote`: change by hand which versions are served."""

from pathlib import Path

from components.base.errors import InputError
from components.serving.servers.waiting import NOBODY, NotServed, Servers, refuse_unreachable
from components.serving.store.label_moves import ask_for_links, move_labels
from components.serving.store.models_config import CANARY, STABLE, ServedModel, link_folder, read_models_config
from components.serving.store.versions import (
    locked,
    read_rolled_back,
    served_model,
    served_versions,
    sound_versions,
    was_not_loaded,
    write_rolled_back,
)


def rollback(base: Path, to: int | None = None, servers: Servers = NOBODY) -> ServedModel:
    """Serves a kept version again, and gives it both labels. If there is a canary, it is withdrawn and the stable version stays.

    Newer versions that had a label count as rolled back from then on: they are no baseline, and their weights are not pushed again. The
    version that is served again no longer counts as rolled back. After a rollback that was killed, the same call completes it. It never
    waits for a push: a push that waits for servers holds no lock, and ends with an error when it sees the labels moved. Unlike a push it
    does not wait for servers that give no answer, except for a version that could not be loaded before.

    Args:
        base: The folder of the versions.
        to: The version; None takes the stable one if there is a canary beside it, otherwise the newest sound one before it.
        servers: The servers that read the folder.

    Raises:
        NotServed: A server cannot load the version, and the labels are where they were; or it did not move the labels within the time.
        LabelsMoved: The labels were moved while servers were waited for.
        InputError: There is no such version, or `models.config` or `rolled_back` cannot be read.
    """
    ask_for_links(base, servers)
    with locked(base):
        versions, number, served = served_versions(base), link_folder(base), _served(base)
        stable = served.labels.get(STABLE, 0)
        if to is None and served.labels.get(CANARY, 0) > stable:
            to = stable
        elif to is None:
            earlier = [version for version in sound_versions(base) if version < stable]
            if not earlier:
                there = ", ".join(map(str, versions))
                raise InputError(f"{base} keeps no version before {stable} that was not rolled back: choose one with --to: {there}.")
            to = earlier[-1]
        elif to not in versions:
            raise InputError(f"{base} has no version {to}: there is {', '.join(map(str, versions))}.")
        chosen = to
        newer = {version for version in served.labels.values() if version > chosen}
        served = _with_labels(served, dict.fromkeys((CANARY, STABLE), chosen))

    def record() -> None:  # before the labels move: after a kill no bad version counts as good
        write_rolled_back(base, (read_rolled_back(base) | newer) - {chosen})

    try:
        move_labels(base, number, served, servers, record, forced=not was_not_loaded(base, chosen))
    except NotServed:
        with locked(base):
            now = _served(base)
            if newer & set(now.labels.values()):  # the labels were taken back
                write_rolled_back(base, read_rolled_back(base) - newer)
        raise
    return served


def promote(base: Path, servers: Servers = NOBODY) -> ServedModel:
    """Makes the canary the stable version.

    Raises:
        NotServed: A server cannot be reached, has not loaded the canary, or does not move the labels.
        LabelsMoved: The labels were moved while servers were waited for.
        InputError: There is no canary, or `models.config` cannot be read.
    """
    ask_for_links(base, servers)
    with locked(base):
        number, before = link_folder(base), read_models_config(base)
    if before is None or CANARY not in before.labels:
        raise InputError(f"{base} has no version labelled {CANARY}: push one with din run --set serving.push_to={CANARY}.")
    refuse_unreachable(base, servers, before.labels[CANARY])
    served = _with_labels(before, {STABLE: before.labels[CANARY]})
    move_labels(base, number, served, servers)
    return served


def _served(base: Path) -> ServedModel:
    return served_model(base) or ServedModel(base.name, str(base.absolute()), {})


def _with_labels(served: ServedModel, moved: dict[str, int]) -> ServedModel:
    return served._replace(labels={**served.labels, **moved})
