"""The schema that a run holds its data against: derived from the features, curated by hand, or inferred on request."""

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets.layout import split_files
from pipeline.run.data_check import DataFacts


def _read(file: Path) -> schema_pb2.Schema:
    try:
        return text_format.Parse(file.read_text(), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is no readable schema ({reason}): data_schema.file names a TFMD schema in text form (.pbtxt).") from error


def _infer(data: Path) -> schema_pb2.Schema:
    """TFDV's guess from `train/`."""
    import tensorflow_data_validation as tfdv
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipeline.runners.beam_options import local_options

    files = [str(file) for file in split_files(data, "train")]
    statistics = tfdv.generate_statistics_from_tfrecord(
        f"{Path(files[0]).parent}/*.tfrecord.gz", pipeline_options=PipelineOptions(local_options())
    )
    return tfdv.infer_schema(statistics, infer_feature_shape=False)


def _conform(schema: schema_pb2.Schema, features: FeatureConfig, source: str) -> schema_pb2.Schema:
    """Gives the declared features the shapes in which Transform and the signatures parse them; all else stays as it was curated.

    Raises:
        InputError: A declared feature is missing or of another type.
    """
    found = {feature.name: feature for feature in schema.feature}
    for declared in make_schema(features).feature:
        feature = found.get(declared.name)
        if feature is None:
            raise InputError(f"{source} has no feature {declared.name!r}: add it there, or take it out of [features].")
        if feature.type != declared.type:
            wanted, has = (schema_pb2.FeatureType.Name(kind) for kind in (declared.type, feature.type))
            raise InputError(f"{source}: feature {declared.name!r} is {has}, but {wanted} is declared: change one of the two.")
        if declared.HasField("shape"):  # Transform parses a shape only where no value may be missing
            feature.shape.CopyFrom(declared.shape)
            feature.presence.CopyFrom(declared.presence)
        else:
            feature.value_count.CopyFrom(declared.value_count)
    return schema


def write_schema(config: PipelineConfig, data: Path, facts: DataFacts, folder: Path) -> Path:
    """Writes the schema of a run to a file named by its content, since TFX's cache sees the name alone.

    Raises:
        InputError: A curated schema cannot be read or does not fit the features.
    """
    settings = config.data_schema
    if settings.file:
        schema = _conform(_read(Path(settings.file)), config.features, settings.file)
    elif settings.infer:
        schema = _conform(_infer(data), config.features, "the inferred schema")
    else:
        schema = make_schema(config.features, facts.columns)
    text = text_format.MessageToString(schema)
    file = folder / f"{config.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def has_feature(schema: Path, name: str) -> bool:
    """Whether a schema file has a feature of this name."""
    return any(feature.name == name for feature in _read(schema).feature)
