"""Finds what a curated schema asks for and a run does not check, so that nobody relies on it."""

from collections.abc import Iterable

from google.protobuf.message import Message
from tensorflow_metadata.proto.v0 import schema_pb2

from din_trainer.features import FeatureConfig

# What ExampleValidator compares the statistics with, and what asks for no check.
_CHECKED = {
    "Schema": {"feature", "string_domain", "float_domain", "int_domain", "weighted_feature", "dataset_constraints", "annotation"},
    "DatasetConstraints": {"min_examples_count", "max_examples_count"},
    "Feature": {
        *("name", "type", "presence", "shape", "value_count", "value_counts", "annotation"),
        *("domain", "int_domain", "float_domain", "string_domain", "distribution_constraints", "unique_constraints"),
        "drift_comparator",
    },
}
_REASONS = {
    "skew_comparator": "name a log of requests with --requests",
    "normalized_abs_difference": "it is for numbers of examples",
    "in_environment": "a run has no environments",
    "not_in_environment": "a run has no environments",
    "default_environment": "a run has no environments",
    "deprecated": "and TFDV leaves out such a feature",
    "max_examples_count": "TFDV compares with it only if min_examples_count is set",
    "lifecycle_stage": "and TFDV leaves out a feature that is not in production",
}


def unchecked_parts(schema: schema_pb2.Schema, file: str, requests: bool = False) -> list[str]:
    """One sentence for each field of a schema that a run does not check. It names the features.

    Args:
        schema: The schema as it was written by hand.
        file: Its file, for the sentences.
        requests: Whether the run has a log of requests.
    """
    owners: dict[str, list[str]] = {}
    for message in (schema, schema.dataset_constraints, *schema.feature):
        for field in _unchecked(message, requests):
            owners.setdefault(field, []).extend([message.name] if isinstance(message, schema_pb2.Feature) else [])
    limits = schema.dataset_constraints
    if limits.HasField("max_examples_count") and not limits.HasField("min_examples_count"):
        owners["max_examples_count"] = []
    return [
        f"{file}: {field}{_of(names)} is not checked: {_REASONS.get(field, 'TFDV ignores it here')}." for field, names in owners.items()
    ]


def replaced_counts(schema: schema_pb2.Schema, features: FeatureConfig, file: str) -> list[str]:
    """Sentences on the bounds of numbers of values that a run replaces, since histories may be empty and tags any number.

    Args:
        schema: The schema as it was written by hand.
        features: The feature definition.
        file: The file of the schema, for the sentences.
    """
    columns = [*features.columns, *features.joined_columns]
    events = {column.name for column in columns if column.presence == "sequence"}
    tags = {column.name for column in columns if column.width is None} - events
    bounded = [feature.name for feature in schema.feature if feature.value_count.min or feature.value_count.max]
    found = {"histories may have any number of events": events, "there may be any number of tags": tags}
    of = {reason: [name for name in bounded if name in names] for reason, names in found.items()}
    return [f"{file}: value_count{_of(names)} is not checked: {reason}." for reason, names in of.items() if names]


def _unchecked(message: Message, requests: bool) -> Iterable[str]:
    checked = _CHECKED[message.DESCRIPTOR.name] | ({"skew_comparator"} if requests else set())
    fields = [field.name for field, _ in message.ListFields()]
    comparators = [getattr(message, name) for name in fields if name in ("drift_comparator", "skew_comparator") and name in checked]
    fields += [field.name for comparator in comparators for field, _ in comparator.ListFields() if field.name in _REASONS]
    return (name for name in dict.fromkeys(fields) if name not in checked)


def _of(names: list[str]) -> str:
    return f" of {', '.join(map(repr, names))}" if names else ""
