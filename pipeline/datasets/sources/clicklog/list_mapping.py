"""The part of a mapping about features with several values: tags, with weights or not, and vectors."""

from collections.abc import Iterable, Mapping

from pydantic import Field, model_validator

from din_trainer.frozen import Frozen
from pipeline.datasets.sources.interactions import CANDIDATE, HISTORICAL, ITEM, LABEL, REQUEST, TIMESTAMP, USER

_SINGLE = {USER, ITEM, REQUEST, TIMESTAMP, LABEL, "historical_item_ids", "historical_timestamps"}


class ListMapping(Frozen):
    """A feature whose cells hold several values."""

    separator: str = Field("", description="Between the values of a text, in brackets or not; lists of JSON and Parquet need none.")
    size: int = Field(0, ge=0, le=65_536, description="How many numbers a vector has; 0: any number of tags.")
    weights: str = Field("", description="The feature that has the weight of each tag, side by side with them.")
    history: bool = Field(False, description="Of a field of the item: whether the histories that are built have it, too.")

    @model_validator(mode="after")
    def _check(self) -> "ListMapping":
        if self.size and self.weights:
            raise ValueError("size is for vectors, weights is for tags: remove one")
        return self


def check_lists(lists: Mapping[str, ListMapping], places: Iterable[Iterable[str]], types: Mapping[str, str]) -> None:
    """Checks that features with several values are features of the log, and have a type that fits.

    Args:
        lists: By feature.
        places: The features of the log, of each side table, and of the histories.
        types: Feature -> type, where the mapping gives one.

    Raises:
        ValueError: Two parts contradict each other.
    """
    places = [list(place) for place in places]
    for name, mapping in lists.items():
        place = next((place for place in places if name in place), [])
        if not place or name in _SINGLE:
            raise ValueError(f"lists.{name} names no feature that can have several values")
        if mapping.size and types.get(name, "float") != "float":
            raise ValueError(f"types.{name} is {types[name]}, but a vector (lists.{name}.size) holds floats: leave the type out")
        if not mapping.size and types.get(name) == "float":
            raise ValueError(f"types.{name} is float, but tags are bytes or int64: for a vector, set lists.{name}.size")
        if mapping.history and not name.startswith(CANDIDATE):
            raise ValueError(f"lists.{name}.history is for fields of the item, which are called {CANDIDATE}…")
        if mapping.weights and (mapping.weights not in place or mapping.weights in lists or name.startswith(HISTORICAL)):
            raise ValueError(
                f"lists.{name}.weights names {mapping.weights!r}, which must be a feature of the same table as {name} and have no entry in "
                "lists; histories of the log have no weights"
            )
        if mapping.weights and types.get(mapping.weights, "float") != "float":
            raise ValueError(f"types.{mapping.weights} is {types[mapping.weights]}, but weights are floats: leave the type out")
