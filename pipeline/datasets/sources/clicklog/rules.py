"""Says in words how the rows of a click log become interactions, for the manifest."""

from collections.abc import Sequence

from pipeline.datasets.sources.clicklog.fields import UNKNOWN
from pipeline.datasets.sources.clicklog.log_columns import histories_of_items
from pipeline.datasets.sources.clicklog.mapping import LabelMapping, Mapping, label_text
from pipeline.datasets.sources.interactions import TIMESTAMP


def words(values: Sequence[bool | int | str]) -> str:
    """Returns the values of a label."""
    return ", ".join(map(label_text, values))


def mapping_rules(meaning: Mapping) -> dict[str, str]:
    """Returns the rules of a mapping by topic."""
    if meaning.impressions.column:
        clicks = f"the 0 or 1 after each item of {meaning.impressions.column}"
    elif not meaning.label_column:
        clicks = "each row is a click"
    else:
        clicks = _clicks(meaning.label, meaning.label_column)
    rules = {"label": clicks} | {name: _clicks(label, label.column) for name, label in meaning.labels.items()}
    rules["columns"] = _columns(meaning.columns)
    if meaning.items.file:
        rules["items"] = (
            f"{_columns(meaning.items.columns)} of {meaning.items.file}, the first row of an item; {UNKNOWN.decode()} where it has none "
            "and is bytes"
        )
    if meaning.users.file:
        rules["users"] = f"{_columns(meaning.users.columns)} of {meaning.users.file}, the first row of a user; missing where it has none"
    if meaning.lists:
        kinds = {name: f"vector of {found.size}" if found.size else "tags" for name, found in meaning.lists.items()}
        weights = {found.weights: f"weights of {name}" for name, found in meaning.lists.items() if found.weights}
        rules["lists"] = _columns(kinds | weights)
    if meaning.events:
        rules["events"] = f"of each click, for later histories alone: {_columns(meaning.events)}"
    if meaning.missing:
        rules["missing"] = ", ".join(f"{name}: {', '.join(meaning.missing_texts(name))}" for name in meaning.missing)
    if meaning.histories:
        rules["histories"] = "as the log has them: " + ", ".join(f"{name}: {history.column}" for name, history in meaning.histories.items())
        if given := histories_of_items(meaning):
            rules["histories"] += f"; {', '.join(given)} as {meaning.items.file} has the items"
    rules["time"] = "the order of the rows"
    if TIMESTAMP in meaning.columns:
        time = f"{meaning.columns[TIMESTAMP]} {meaning.timestamp.time}".strip()
        rules["time"] = (
            f"{time} in whole seconds, rounded down: within a second the order of the rows counts; "
            "rows with the same user, item, second and request count once"
        )
    return rules


def _clicks(label: LabelMapping, column: str) -> str:
    """Returns which rows have a label."""
    if label.at_least is not None:
        return f"{column} of {label.at_least:g} or more is 1, else 0"
    if not label.positive:
        return f"{column}, 0 or 1"
    clicks = f"{column} of {words(label.positive)} is 1"
    others = "other rows are dropped" if label.negative is not None else "all others are 0"
    return clicks + (f", of {words(label.negative)} is 0; {others}" if label.negative else f"; {others}")


def _columns(columns: dict[str, str]) -> str:
    return ", ".join(f"{name}: {column}" for name, column in columns.items())
