"""`din rollback` and `din promote`: change by hand which versions are served."""

from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import CANARY, STABLE, ServedModel, move_labels
from components.serving.store.versions import locked, read_rolled_back, served_model, served_versions, write_rolled_back


def rollback(base: Path, to: int | None = None, poll_seconds: float = 0) -> ServedModel:
    """Serves a kept version again, and gives it both labels. If there is a canary, it is withdrawn and the stable version stays.

    Newer versions that had a label count as rolled back from then on: they are no baseline, and their weights are not pushed again. The
    version that is served again no longer counts as rolled back. After a rollback that was killed, the same call completes it.

    Args:
        base: The folder of the versions.
        to: The version; None takes the stable one if there is a canary beside it, otherwise the newest before it that was not rolled back.
        poll_seconds: How often TF Serving reads `models.config`: it gets two polls to load the version before the labels move; 0 if nothing
            polls.

    Raises:
        InputError: There is no such version, or `models.config` or `rolled_back` cannot be read.
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
        write_rolled_back(base, (rolled_back | newer) - {to})  # first: after a kill no bad version counts as good
        return _label(base, served, dict.fromkeys((CANARY, STABLE), to), poll_seconds)


def promote(base: Path) -> ServedModel:
    """Makes the canary the stable version.

    Raises:
        InputError: There is no canary, or `models.config` cannot be read.
    """
    with locked(base):
        served = _served(base)
        if CANARY not in served.labels:
            raise InputError(f"{base} has no version labelled {CANARY}: push one with din run --set serving.push_to={CANARY}.")
        return _label(base, served, {STABLE: served.labels[CANARY]}, 0)  # the canary is loaded already


def _served(base: Path) -> ServedModel:
    return served_model(base) or ServedModel(base.name, str(base.absolute()), {})


def _label(base: Path, served: ServedModel, moved: dict[str, int], poll_seconds: float) -> ServedModel:
    served = served._replace(labels={**served.labels, **moved})
    move_labels(base, served, poll_seconds)
    return served
