"""The columns that a model reads: ids, or raw values if it has vocabularies."""

from collections.abc import Mapping

from din_trainer.features import HISTORICAL_TIMESTAMPS, PADDING_ID, TIME_GAPS, USER_ID, FeatureConfig
from din_trainer.models.checked_data import Input


def id_columns(features: FeatureConfig, sizes: Mapping[str, int], history: bool) -> list[Input]:
    """The transformed features of a model.

    Args:
        features: The feature definition.
        sizes: Embedding rows by vocabulary name.
        history: Whether the model reads histories.
    """

    def ids(name: str) -> Input:
        vocabulary = features.vocabulary_by_feature[name]
        advice = f"the vocabulary {vocabulary!r} of this model has {sizes[vocabulary]} rows, row 0 for padding"
        return Input(name, "int64", least=PADDING_ID + 1, most=sizes[vocabulary] - 1, advice=advice)

    result = [ids(b.candidate)._replace(required=True) for b in features.behaviours.values()]
    for sequence, behaviours in features.sequences.items() if history else ():
        result += [ids(b.history)._replace(sequence=sequence, missing=PADDING_ID, least=PADDING_ID) for b in behaviours.values()]
    if history and features.time_gap:
        result.append(Input(TIME_GAPS, "float", next(iter(features.sequences)), missing=0.0))
    for name, feature in features.side.items():
        if feature.kind == "numeric":
            result.append(Input(name, "float", missing=0.0, counts_as="0, the mean of scaled numbers"))
        else:
            unknown = sizes[name] - feature.oov_buckets
            side = ids(name)._replace(least=0, missing=unknown, counts_as=f"id {unknown}, out of vocabulary")
            result.append(side._replace(required=name == USER_ID))
    return list({column.name: column for column in result}.values())


def raw_columns(features: FeatureConfig, history: bool) -> list[Input]:
    """The raw features of a model with vocabularies. Args as `id_columns`."""
    sequences = {b.history: sequence for sequence, behaviours in features.sequences.items() for b in behaviours.values()}
    sequences[HISTORICAL_TIMESTAMPS] = next(iter(features.sequences))
    result = []
    for name, dtype, _, presence, *_ in features.columns:
        if name in features.side and features.side[name].kind == "numeric":
            result.append(Input(name, "float", missing=float("nan"), counts_as="the mean"))
        elif presence != "sequence" or history:
            missing = b"" if dtype == "bytes" else -1
            counts_as = "out of vocabulary" if presence == "optional" else ""
            result.append(
                Input(name, dtype, sequences.get(name, ""), missing=missing, counts_as=counts_as, required=presence == "required")
            )
    return result
