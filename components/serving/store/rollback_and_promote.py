"""What is served, changed by hand: `din rollback` and `din promote`."""

from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import CANARY, STABLE, ServedModel, move_labels
from components.serving.store.versions import locked, read_rolled_back, served_model, served_versions, write_rolled_back


def serving_folder(workspace: Path, name: str | None) -> Path:
    """The folder of a name's versions.

    Args:
        workspace: With one serving folder a name.
        name: None takes the only one.

    Raises:
        InputError: Nothing was pushed there under that name, or under several when none is given.
    """
    names = sorted(path.name for path in workspace.glob("serving/*") if served_versions(path))
    if not names:
        raise InputError(f"{workspace} has no pushed model: name a workspace with --workspace, or push one with din run.")
    if name is None and len(names) > 1:
        raise InputError(f"{workspace} has models of several names: choose one with --name: {', '.join(names)}.")
    if name is not None and name not in names:
        raise InputError(f"{workspace} has no pushed model called {name!r}: there is {', '.join(names)}.")
    return workspace / "serving" / (name or names[0])


def rollback(base: Path, to: int | None = None, poll_seconds: float = 0) -> ServedModel:
    """Has a kept version served again, as stable and as canary: while a canary is out, the stable one, so that the canary is withdrawn.

    What had a label and is newer counts as rolled back from then on: it is no baseline, and its weights are not pushed again. The version
    that is returned to no longer counts so. Killed in between, the same call brings it to the same end.

    Args:
        base: Folder of the versions.
        to: The version; None takes the stable one if there is a canary beside it, else the newest before it that was not rolled back.
        poll_seconds: How often a TF Serving reads `models.config`; twice that long the version is loaded before the labels move.

    Raises:
        InputError: There is no such version, or what lies beside the versions cannot be read.
    """
    with locked(base):
        versions, rolled_back = served_versions(base), read_rolled_back(base)
        served = _served(base)
        stable = served.labels.get(STABLE, 0)
        if to is None and served.labels.get(CANARY, 0) > stable:
            to = stable
        elif to is None:
            earlier = [version for version in versions if version < stable and version not in rolled_back]
            if not earlier:
                there = ", ".join(map(str, versions))
                raise InputError(f"{base} keeps no version before {stable} that was not rolled back: choose one with --to: {there}.")
            to = earlier[-1]
        elif to not in versions:
            raise InputError(f"{base} has no version {to}: there is {', '.join(map(str, versions))}.")
        newer = {version for version in served.labels.values() if version > to}
        write_rolled_back(base, (rolled_back | newer) - {to})  # first, so that what is served is not forgotten to be bad
        return _label(base, served, dict.fromkeys((CANARY, STABLE), to), poll_seconds)


def promote(base: Path) -> ServedModel:
    """Makes the canary the stable version.

    Raises:
        InputError: There is no canary, or what lies beside the versions cannot be read.
    """
    with locked(base):
        served = _served(base)
        if CANARY not in served.labels:
            raise InputError(f"{base} has no version labelled {CANARY}: push one with din run --set serving.push_to={CANARY}.")
        return _label(base, served, {STABLE: served.labels[CANARY]}, 0)  # it is loaded


def _served(base: Path) -> ServedModel:
    return served_model(base) or ServedModel(base.name, str(base.absolute()), {})


def _label(base: Path, served: ServedModel, moved: dict[str, int], poll_seconds: float) -> ServedModel:
    served = served._replace(labels={**served.labels, **moved})
    move_labels(base, served, poll_seconds)
    return served
