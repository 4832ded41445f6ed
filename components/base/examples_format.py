"""Says in an Examples artifact how its shards are written, which TFX asks before it reads them."""

from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import Artifact


def set_format(examples: Artifact) -> None:
    """Sets the format of an Examples artifact: gzipped TFRecords of tf.Examples."""
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")
