"""The weights of an export are stored once, whatever reads them, and are constants in every graph."""

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from din_trainer.export.stored_weights import StoredWeights

SIZE = 64


def constants(folder):
    """The float constants of a SavedModel with more than 100 numbers."""
    graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    tensors = [tf.make_ndarray(node.attr["value"].tensor) for node in nodes if node.op == "Const" and node.attr["dtype"].type == 1]
    return [x for x in tensors if x.size > 100]


def test_graphs_and_their_loops_share_what_is_stored_once(tmp_path):
    """x · W in one signature, and x · W three times in a loop in another: W is in the file once, with the value that was given."""
    dense = keras.layers.Dense(SIZE, use_bias=False)
    dense.build((None, SIZE))
    stored = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32) * 0.1
    weights = StoredWeights([(dense.kernel, stored)])
    spec = tf.TensorSpec([None, SIZE], name="x")

    def once(x):
        with weights.in_graphs():
            return {"y": dense(x)}

    def in_a_loop(x):
        with weights.in_graphs():
            return {"y": tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, dense(y)), [0, x])[1]}

    signatures = {f.__name__: tf.function(f, autograph=False).get_concrete_function(spec) for f in (once, in_a_loop)}
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=signatures)
    (found,) = constants(tmp_path)
    np.testing.assert_array_equal(found, stored)
    loaded, x = tf.saved_model.load(str(tmp_path)), np.ones((2, SIZE), np.float32)
    np.testing.assert_allclose(loaded.signatures["once"](x=tf.constant(x))["y"], x @ stored, rtol=1e-5)
    np.testing.assert_allclose(loaded.signatures["in_a_loop"](x=tf.constant(x))["y"], x @ stored @ stored @ stored, rtol=1e-4)
    assert not np.array_equal(dense.kernel, stored)  # the layer has its own weight as before
