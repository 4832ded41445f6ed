"""SavedModels of one weight and one asset."""

import tensorflow as tf


def save_model(folder, weight, bias=0):
    """y = weight · x + bias, the bias a constant of the graph."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    module = tf.Module()
    module.weight = tf.Variable([float(weight)])
    asset = folder.parent / "vocabulary"
    asset.write_text("a\nb\n")
    module.asset = tf.saved_model.Asset(str(asset))
    call = tf.function(lambda x: {"y": x * module.weight + float(bias)}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder


def content(folder):
    """The bytes of each file, by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
