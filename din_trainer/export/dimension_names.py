"""Writes into a SavedModel what each dimension of the inputs of `predict` and `rank` means, for clients that know the signatures alone.

Two open dimensions look the same: padded histories (B, T) and padded tags (B, K). TensorFlow has a place for the name of a dimension in a
signature, and TF Serving tells it with the signatures, but TensorFlow's Python API has no way to set it.
"""

from pathlib import Path

from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import dimension_names, inputs_of


def name_dimensions(saved_model: Path, features: FeatureConfig) -> None:
    """Names the dimensions of the inputs of `predict` and `rank` in a SavedModel.

    Args:
        saved_model: Its folder.
        features: What the model reads.
    """
    file = saved_model / "saved_model.pb"
    content = SavedModel.FromString(file.read_bytes())
    for signature in ("predict", "rank"):
        inputs = content.meta_graphs[0].signature_def[signature].inputs
        for read in inputs_of(features):
            names = dimension_names(read, rank=signature == "rank")
            for dim, name in zip(inputs[read.column.name].tensor_shape.dim, names, strict=True):
                dim.name = name
    file.write_bytes(content.SerializeToString(deterministic=True))
