"""Opens a source of `din import`, or finds a mapping, by its name."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.errors import InputError

if TYPE_CHECKING:  # `din --help` is faster without it
    from din_trainer.features import FeatureConfig
    from pipeline.datasets.sources.interactions import Source

SOURCES = ("movielens", "amazon", "taobao", "mind", "recbole", "sequences", "clicklog", "requests")
_WITH_METADATA = ("amazon", "sequences")
_WITH_FIELDS = ("movielens", "amazon")


def find_mapping(source: str) -> Path:
    """Returns the file of a mapping: one that is shipped, by its name, or any file, by its path.

    Raises:
        InputError: There is no such mapping and no such file.
    """
    shipped = {Path(file.name).stem: Path(str(file)) for file in resources.files("pipeline.datasets.mappings").iterdir()}
    if source in shipped and shipped[source].suffix == ".toml":
        return shipped[source]
    if not Path(source).is_file():
        names = ", ".join(sorted(name for name, file in shipped.items() if file.suffix == ".toml"))
        raise InputError(f"No mapping is called {source!r}: name one of {names}, or a TOML file.")
    return Path(source)


def open_source(
    name: str,
    path: Path,
    mapping: Path | None = None,
    metadata: Path | None = None,
    labels: Path | None = None,
    label_window: int | None = None,
    item_fields: bool = False,
    features: "FeatureConfig | None" = None,
) -> "Source":
    """Opens a source of interactions.

    Args:
        name: One of `SOURCES`.
        path: The file or folder of the source.
        mapping: What each column of a click log means.
        metadata: A file about the items, for amazon and sequences; by default the file beside `path` that has the usual name.
        labels: A table of labels, for requests.
        label_window: Seconds after which a request without a label was not clicked, for requests.
        item_fields: Whether further fields of the items are read, for movielens and amazon.
        features: What the inputs of requests are, and which labels there are, for requests.

    Raises:
        InputError: A file is missing, or the source does not take it.
    """
    if (mapping is None) != (name != "clicklog"):
        needed = "a click log needs --mapping FILE.toml: --guess in place of --out prints one to begin with."
        raise InputError(needed if mapping is None else f"--mapping is for clicklog, not for {name}.")
    if metadata is not None and name not in _WITH_METADATA:
        raise InputError(f"--metadata is for {' and '.join(_WITH_METADATA)}, not for {name}.")
    if (labels is None) != (name != "requests") or (label_window is not None and name != "requests"):
        needed = "logged requests need --labels FILE: the table that says what was clicked."
        raise InputError(needed if name == "requests" else f"--labels and --label-window are for requests, not for {name}.")
    if features is not None and name != "requests":
        raise InputError(f"--config is for requests, not for {name}.")
    if item_fields and name not in _WITH_FIELDS:
        advice = ": its mapping says which fields are read" if name == "clicklog" else ""
        raise InputError(f"--item-fields is for {' and '.join(_WITH_FIELDS)}, not for {name}{advice}.")
    if not path.exists():
        raise InputError(f"{path} is missing: name the file or folder that holds the data.")
    if metadata is not None and not metadata.is_file():
        raise InputError(f"{metadata} is {'a folder' if metadata.is_dir() else 'missing'}: name the file that describes the items.")
    if name == "movielens":
        from pipeline.datasets.sources.movielens import MovieLens

        return MovieLens(path, item_fields)
    if name == "amazon":
        from pipeline.datasets.sources.amazon import Amazon

        return Amazon(path, metadata, item_fields)
    if name == "taobao":
        from pipeline.datasets.sources.taobao import Taobao

        return Taobao(path)
    if name == "mind":
        from pipeline.datasets.sources.mind import Mind

        return Mind(path, find_mapping("mind"))
    if name == "recbole":
        from pipeline.datasets.sources.recbole import RecBole

        return RecBole(path)
    if name == "sequences":
        from pipeline.datasets.sources.sequences import open_sequences

        return open_sequences(path, metadata)
    if name == "requests":
        from pipeline.datasets.sources.requests.logged_requests import LoggedRequests

        assert labels is not None
        return LoggedRequests(path, labels, label_window, features)
    from pipeline.datasets.sources.clicklog.click_log import ClickLog

    assert mapping is not None
    return ClickLog(path, mapping)
