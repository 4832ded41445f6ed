"""What one can slice the evaluation by: the features of one value, and columns that are computed from the data."""

from collections.abc import Mapping

from components.evaluation.count_buckets import is_bucket
from components.evaluation.metrics.catalogue import ITEM_POPULARITY, USER_ACTIVITY
from components.evaluation.slice_column import SliceColumn
from components.evaluation.value_buckets import bucket_names
from din_trainer.features import USER_ID, FeatureConfig
from din_trainer.kinds import Bucketized, Tags, Vector

_LENGTH, _TAG, _BUCKET = "_length", "_tag", "_bucket"


def slice_columns(features: FeatureConfig) -> dict[str, SliceColumn]:
    """The computed columns that one can slice by, by name."""
    named = {placed.name: placed.feature for placed in features.placed if not placed.sequence}
    single = [column for column in features.columns if column.presence == "sequence" and column.width == 1]
    result = {column.name + _LENGTH: SliceColumn("length", column.name) for column in single}
    result |= {name + _TAG: SliceColumn("tags", name) for name, feature in named.items() if isinstance(feature, Tags)}
    numbers = {name: feature for name, feature in named.items() if isinstance(feature, Bucketized)}
    result |= {name + _BUCKET: SliceColumn("buckets", name, f.boundaries, f.buckets) for name, f in numbers.items()}
    result[ITEM_POPULARITY] = SliceColumn("count", next(iter(features.behaviours.values())).candidate)
    if USER_ID in features.user:
        result[USER_ACTIVITY] = SliceColumn("count", USER_ID)
    return result


def user_level(features: FeatureConfig) -> set[str]:
    """What has the same value in all impressions of a user."""
    computed = slice_columns(features)
    return {*features.user, *(name for name, column in computed.items() if column.kind != "length" and column.feature in features.user)}


def check_slice_names(names: list[str], features: FeatureConfig) -> None:
    """Checks the names in `evaluation.slices`.

    Raises:
        ValueError: One is no feature of one value and no computed column, or both.
    """
    computed = slice_columns(features)
    named = {placed.name: placed.feature for placed in features.placed}
    declared = [*features.columns, *features.joined_columns, *features.kept_columns]
    trained_on = {features.weight, *features.labels[1:]}
    several = {name: feature for name, feature in named.items() if isinstance(feature, Tags | Bucketized | Vector)}
    single = {c.name for c in declared if c.presence != "sequence" and c.width == 1} - several.keys() - trained_on
    for name in names:
        if name in computed and name in {column.name for column in declared}:
            raise ValueError(f"evaluation.slices names {name!r}, which is computed, but a feature is declared by that name: rename it")
        if name in computed or name in single:
            continue
        if better := next((column for column, asked in computed.items() if asked.feature == name), ""):
            raise ValueError(f"evaluation.slices names {name!r}, whose slices are called {better!r}: name that instead")
        hint = f" ({USER_ACTIVITY} counts {USER_ID}, which is not declared)" if name == USER_ACTIVITY else ""
        raise ValueError(
            f"evaluation.slices names {name!r}, which is no declared feature of one value{hint}: known are "
            f"{', '.join(sorted(computed.keys() | single))}"
        )


def check_slice_values(values: Mapping[str, str], features: FeatureConfig) -> None:
    """Checks the values of the slice that a threshold is for; `*` stands for each of them.

    Raises:
        ValueError: There is no such bucket.
    """
    computed = slice_columns(features)
    for name, value in values.items():
        column = computed.get(name)
        if value == "*" or column is None:
            continue
        if column.kind in ("length", "count") and not is_bucket(value):
            raise ValueError(f"a slice threshold is for {name}={value}, but its slices are 0, 1-2, 3-5, 6-10, 11-20, 21-50, …")
        if column.boundaries and value not in (names := bucket_names(column.boundaries)):
            raise ValueError(f"a slice threshold is for {name}={value}, but its slices are {', '.join(map(repr, names))}")
