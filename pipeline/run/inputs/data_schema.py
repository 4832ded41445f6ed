"""The schema that a run checks its data against: derived from the features, written by hand, or inferred on request."""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.base.errors import InputError
from components.evaluation.metrics.catalogue import METRICS
from din_trainer.features import REQUEST_ID, FeatureConfig
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets.layout import split_files
from pipeline.datasets.spans import Span
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.inputs.unchecked_schema import replaced_counts, unchecked_parts


def read_schema(file: Path) -> schema_pb2.Schema:
    """Reads a schema in text form.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    try:
        return text_format.Parse(file.read_text(), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is no readable schema ({reason}): data_schema.file needs a TFMD schema in text form (.pbtxt).") from error


def _infer(files: Iterable[Path]) -> schema_pb2.Schema:
    """Returns the schema that TFDV infers from the impressions that are learnt from."""
    import apache_beam as beam
    import tensorflow_data_validation as tfdv

    from components.base.shard_tfxio import ShardTFXIO
    from pipeline.runners.beam_options import local_options

    with tempfile.TemporaryDirectory(prefix="din-schema-") as folder:
        with beam.Pipeline(argv=local_options()) as pipeline:
            batches = pipeline | ShardTFXIO(list(map(str, files)), telemetry_descriptors=["din"]).BeamSource()
            _ = batches | tfdv.GenerateStatistics() | tfdv.WriteStatisticsToBinaryFile(f"{folder}/statistics")
        statistics = tfdv.load_stats_binary(f"{folder}/statistics")
    return tfdv.infer_schema(statistics, infer_feature_shape=False)


def _with_attributes(schema: schema_pb2.Schema, features: FeatureConfig) -> schema_pb2.Schema:
    """Adds what tables of attributes have, which is joined to the data later, as it is declared."""
    joined = {column.name for column in features.joined_columns}
    schema.feature.extend(feature for feature in make_schema(features).feature if feature.name in joined)
    return schema


def _conform(schema: schema_pb2.Schema, features: FeatureConfig, source: str) -> schema_pb2.Schema:
    """Gives the declared features the shapes in which Transform and the signatures parse them. The rest of the schema stays.

    Raises:
        InputError: A declared feature is missing, or has another type.
    """
    found = {feature.name: feature for feature in schema.feature}
    for declared in make_schema(features).feature:
        feature = found.get(declared.name)
        if feature is None:
            raise InputError(f"{source} has no feature {declared.name!r}: add it there, or remove it from [features].")
        if feature.type != declared.type:
            wanted, has = (schema_pb2.FeatureType.Name(kind) for kind in (declared.type, feature.type))
            raise InputError(f"{source}: feature {declared.name!r} is {has}, but {wanted} is declared: change one of the two.")
        if declared.HasField("shape"):  # Transform parses a shape only where no value may be missing
            feature.shape.CopyFrom(declared.shape)
            feature.presence.CopyFrom(declared.presence)
        else:
            feature.value_count.CopyFrom(declared.value_count)
    return schema


def write_schema(config: PipelineConfig, data: Path, facts: DataFacts, folder: Path, spans: Sequence[Span] = ()) -> Path:
    """Writes the schema of a run to a file that is named by its content: TFX's cache knows the file by its name alone.

    Args:
        config: The configuration of the run.
        data: The data set. A schema that is inferred is that of its `train/`, or of `spans`.
        facts: What was found in the data.
        folder: Where to write the file.
        spans: The spans that the run learns from, if it is a run of spans.

    Returns:
        The file.

    Raises:
        InputError: A schema written by hand cannot be read, or does not fit the features.
    """
    settings = config.data_schema
    if settings.file:
        schema = _conform(read_schema(Path(settings.file)), config.features, settings.file)
    elif settings.infer:
        learnt = [shard for span in spans for shard in span.shards()] or split_files(data, "train")
        schema = _conform(_with_attributes(_infer(learnt), config.features), config.features, "the inferred schema")
    else:
        schema = make_schema(config.features, facts.columns)
    text = text_format.MessageToString(schema)
    file = folder / f"{config.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def unchecked_by_run(config: PipelineConfig) -> list[str]:
    """One sentence for what the data gate does not see: impressions outside a sample, and parts of a schema written by hand."""
    share = config.statistics.sample
    found = [f"The statistics, which the data gate judges, are those of {share:.2%} of the impressions."] if share < 1 else []
    if file := config.data_schema.file:
        schema = read_schema(Path(file))
        found += [*unchecked_parts(schema, file, bool(config.requests)), *replaced_counts(schema, config.features, file)]
    if config.skew and not config.requests:
        found.append(f"skew of {', '.join(map(repr, config.skew))} is not checked: name a log of requests with --requests.")
    return found


def check_evaluation(config: PipelineConfig, features: Set[str], data: Path, schema: Path) -> None:
    """Checks that a schema has the request ids that the thresholds need, and none of the columns that are computed for slices.

    Args:
        config: The configuration of the run.
        features: Names of the features of the schema.
        data: For the message.
        schema: For the message.

    Raises:
        InputError: A feature is missing, or is there although it must not be.
    """
    within_requests = sorted(metric for metric in config.evaluation.judged_metrics if METRICS[metric].within == "request")
    if within_requests and REQUEST_ID not in features:
        raise InputError(f"{data} has no {REQUEST_ID}, which {within_requests[0]} needs: add the feature, or remove the threshold.")
    sliced_by = {feature for features_of_slice in config.evaluation.slice_features for feature in features_of_slice}
    for column in sorted(sliced_by & config.slice_columns.keys() & features):
        raise InputError(f"{schema} has a feature {column!r}, but a column of this name is computed for slices: rename the feature.")
