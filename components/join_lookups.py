"""Adds the attributes that tables have to the impressions, each with the row of its own time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.example_gen.utils import SPAN_PROPERTY_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.cores import usable_cores
from components.base.errors import DataError
from components.base.example_encoder import encode_examples
from components.base.example_reader import RAW, read_batches, read_schema
from components.base.examples_format import set_format
from components.base.table_joiner import Joiner
from components.base.tfrecord_writer import TFRecordWriter
from din_trainer.features import FeatureConfig

UNMATCHED_KEY = "unmatched"  # custom property of the output: sentences about ids without a row


def joined_examples(files: list[str], schema: schema_pb2.Schema, joiner: Joiner) -> Iterator[pa.LargeBinaryArray]:
    """Yields the tf.Examples of some files with their attributes, in order."""
    for batch in read_batches(files, schema, joiner.needed):
        # Concatenated protobuf messages are one merged message, so the original is kept without decoding it.
        added = encode_examples(joiner.attributes(batch))
        yield pc.binary_join_element_wise(batch.column(RAW).flatten(), added, pa.scalar(b"", pa.large_binary()))


def unmatched(joiner: Joiner, features: FeatureConfig) -> list[str]:
    """Says how many ids have no row in their table, one sentence for each feature with ids.

    Raises:
        DataError: None of the ids has one.
    """
    sentences = []
    for (name, ids), asked in joiner.asked.items():
        lookup, found = features.lookups[name], joiner.found[name, ids]
        if asked and not any(joiner.found[pair] for pair in joiner.asked if pair[0] == name):
            advice = "check the table, its key, and valid_from." if lookup.valid_from else "check the table and its key."
            raise DataError(f"{lookup.table} has no row for any {ids} of the data (features.lookups.{name}): {advice}")
        if found < asked:
            sentences.append(f"{1 - found / asked:.2%} of the ids of {ids} have no row in {lookup.table}: attributes are missing there.")
    return sentences


@component
def JoinLookups(
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    joined: OutputArtifact[standard_artifacts.Examples],
    features: Parameter[str],
    tables: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Writes all splits with the attributes that tables have, so that statistics, validation and slices see them as any other feature.

    The model does not read them here: it has the tables itself.

    Args:
        examples: tf.Examples, in any splits.
        schema: Their schema, with the attributes.
        joined: The same splits and shards with the attributes.
        features: `FeatureConfig` as JSON.
        tables: Changes with the content of the tables.
        source_fingerprint: Changes with this code, so that TFX does not reuse old output.

    Raises:
        DataError: A table has no row for any id of the data.
    """
    del tables, source_fingerprint
    config = FeatureConfig.model_validate_json(features)
    joiner, known = Joiner(config), read_schema(schema)
    joined.split_names = examples.split_names
    if examples.has_custom_property(SPAN_PROPERTY_NAME):  # Window orders the spans by it
        joined.set_int_custom_property(SPAN_PROPERTY_NAME, examples.get_int_custom_property(SPAN_PROPERTY_NAME))
    set_format(joined)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for split in artifact_utils.decode_split_names(examples.split_names):
            folder = Path(artifact_utils.get_split_uri([joined], split))
            folder.mkdir(parents=True)
            for file in sorted(Path(artifact_utils.get_split_uri([examples], split)).iterdir()):
                writer = TFRecordWriter(folder / file.name, pool)
                for part in joined_examples([str(file)], known, joiner):
                    writer.write_examples(part)
                writer.close()
    joined.set_string_custom_property(UNMATCHED_KEY, " ".join(unmatched(joiner, config)))
