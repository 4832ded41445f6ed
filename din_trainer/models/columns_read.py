"""The columns that a model reads: what Transform makes of them, or raw values if the model has vocabularies."""

from collections.abc import Callable, Mapping

from din_trainer.features import PADDING_ID, USER_ID, Column, FeatureConfig, Placed, gap_name, is_read
from din_trainer.kinds import MISSING, Bucketized, Hashed, Numeric, Tags, TimeGap, Vector
from din_trainer.models.checked_data import Input

_SCALED = {"zscore": "0, the mean of scaled numbers", "log": "0, the mean of scaled numbers", "minmax": "0, the lowest", "quantile": "0.5"}
_UNSCALED = {"zscore": "the mean", "log": "the mean", "minmax": "the lowest", "quantile": "the median"}
_NAN = float("nan")


def id_columns(features: FeatureConfig, sizes: Mapping[str, int], history: bool) -> list[Input]:
    """The transformed features of a model.

    Args:
        features: The feature definition.
        sizes: Embedding rows by vocabulary name.
        history: Whether the model reads histories.
    """
    rows = {name: table.rows or sizes[name] for name, table in features.tables.items()}

    def ids(name: str) -> Input:
        table = features.table_by_feature[name]
        what = "vocabulary" if table in features.vocabularies else "table"
        advice = f"the {what} {table!r} of this model has {rows[table]} rows, row 0 for padding"
        return Input(name, "int64", least=PADDING_ID + 1, most=rows[table] - 1, advice=advice)

    result = [ids(b.candidate)._replace(required=True) for b in features.behaviours.values()]
    for sequence, behaviours in features.sequences.items() if history else ():
        result += [_of_events(ids(b.history), sequence) for b in behaviours.values()]
    for placed in features.placed:
        if is_read(placed.feature) and (history or not placed.sequence):
            result += _transformed(placed, ids)
    for name, position in features.position.items():
        result.append(ids(name)._replace(missing=1 + position.serving, counts_as=f"position {position.serving}", only_training=True))
    return list({column.name: column for column in result}.values())


def _of_events(column: Input, sequence: str) -> Input:
    """The ids of events: 0 where there is none."""
    return column._replace(sequence=sequence, missing=PADDING_ID, least=PADDING_ID, required=True)


def _transformed(placed: Placed, ids: Callable[[str], Input]) -> list[Input]:
    """What Transform makes of a feature."""
    name, _, sequence, feature = placed
    if isinstance(feature, TimeGap):
        return [Input(gap_name(name), "float", sequence, missing=0.0)]
    if isinstance(feature, Tags):
        tags = ids(name)._replace(sequence=sequence, width=None, missing=PADDING_ID, least=PADDING_ID)
        return [tags, *[_weights(feature, tags)] * bool(feature.weights)]
    if isinstance(feature, Vector):
        return [Input(name, "float", sequence, feature.size, missing=0.0, counts_as="zeros")]
    if isinstance(feature, Numeric) and feature.indicator:
        return [Input(name, "float", sequence, feature.width, missing=0.0, required=True)]
    if isinstance(feature, Numeric):
        return [Input(name, "float", sequence, missing=0.5 * (feature.scale == "quantile"), counts_as=_SCALED[feature.scale])]
    column = ids(name)
    if sequence:
        return [_of_events(column, sequence)]
    unknown = (column.most or 0) + 1 - getattr(feature, "oov_buckets", 1)
    what = "the row of missing values" if isinstance(feature, Bucketized | Hashed) else "out of vocabulary"
    required = name == USER_ID or bool(getattr(feature, "of", ()) and feature.buckets)  # a hashed cross has no row for missing values
    return [column._replace(least=0, missing=unknown, counts_as=f"id {unknown}, {what}", required=required)]


def raw_columns(features: FeatureConfig, history: bool) -> list[Input]:
    """The raw features of a model with vocabularies. Args as `id_columns`."""
    placed = {p.name: p for p in features.placed}
    tags = {p.feature.weights: p for p in features.placed if isinstance(p.feature, Tags)}
    lengths = {p.feature.lengths for p in features.placed if isinstance(p.feature, Tags)}
    sequences = {b.history: b.sequence for b in features.behaviours.values()}
    result = []
    for column in features.columns:
        if column.name in lengths or (column.presence == "sequence" and not history):
            continue  # lists of lists have lengths of their own
        if column.name in placed:
            result.append(_raw(placed[column.name], column))
        elif column.name in tags:
            result.append(_weights(tags[column.name].feature, _raw(tags[column.name], column)))
        else:
            result.append(Input(column.name, column.dtype, sequences.get(column.name, ""), missing=MISSING[column.dtype], required=True))
    for name, position in features.position.items():
        result.append(Input(name, "int64", missing=-1, counts_as=f"position {position.serving}", only_training=True))
    return result


def _raw(placed: Placed, column: Column) -> Input:
    """A raw feature as its kind has it."""
    name, _, sequence, feature = placed
    missing = MISSING[feature.dtype]
    if isinstance(feature, Tags):
        return Input(name, feature.dtype, sequence, None, missing)
    if isinstance(feature, Vector):
        return Input(name, "float", sequence, feature.size, _NAN, "zeros")
    if isinstance(feature, Numeric | Bucketized):
        counts_as = _UNSCALED[feature.scale] if isinstance(feature, Numeric) else "a bucket of their own"
        return Input(name, "float" if feature.dtype == "float" else "double", sequence, 0, _NAN, counts_as)
    counts_as = (
        "the mean" if isinstance(feature, TimeGap) else "one value of their own" if isinstance(feature, Hashed) else "out of vocabulary"
    )
    return Input(name, feature.dtype, sequence, 0, missing, counts_as * (column.presence != "required"), column.presence == "required")


def _weights(feature: Tags, tags: Input) -> Input:
    return Input(feature.weights, "float", tags.sequence, None, missing=0.0, beside=tags.name)
