"""A SavedModel is a program: one that reads or writes files, or calls Python, is refused before it is loaded."""

import re

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.base.errors import InputError
from components.serving.model.foreign_ops import foreign_operations, refuse_foreign_operations

SPEC = tf.TensorSpec([None], tf.string)


def saved(folder, function, holder=None):
    holder = holder or tf.Module()
    signature = tf.function(function, autograph=False).get_concrete_function(SPEC)
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": signature})
    return folder


def _lines(file):
    """Each line of a file as a key, with its number as the value."""
    index = tf.lookup.TextFileIndex
    return tf.lookup.TextFileInitializer(file, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)


def written(path):
    def function(x):
        with tf.control_dependencies([tf.io.write_file(str(path), "bad")]):
            return {"probability": tf.identity(x)}

    return function


HOSTILE = {
    "WriteFile": lambda x: written("/tmp/never")(x),
    "ReadFile": lambda x: {"probability": tf.io.read_file("/etc/hostname") + x},
    "MatchingFiles": lambda x: {"probability": tf.io.matching_files("/etc/*")},
    "EagerPyFunc": lambda x: {"probability": tf.py_function(lambda y: y, [x], tf.string)},
    "PyFunc": lambda x: {"probability": tf.numpy_function(lambda y: y, [x], tf.string)},
}


@pytest.mark.parametrize("op", HOSTILE)
def test_an_operation_that_does_more_than_compute_is_refused(tmp_path, op):
    model = saved(tmp_path / "model", HOSTILE[op])
    assert op in foreign_operations(model)
    with pytest.raises(InputError, match=rf"{re.escape(str(model))} does more than compute \({op}\)"):
        refuse_foreign_operations(model)


def test_it_is_found_in_a_branch_and_in_a_function_of_a_function(tmp_path):
    inner = tf.function(written(tmp_path / "never"), autograph=False)
    model = saved(tmp_path / "model", lambda x: tf.cond(tf.size(x) > 5, lambda: inner(x)["probability"], lambda: x))
    assert foreign_operations(model) == {"WriteFile"}


def test_a_print_to_a_file_is_refused(tmp_path):
    target = tmp_path / "never"

    def function(x):
        with tf.control_dependencies([tf.print("bad", output_stream=f"file://{target}")]):
            return {"probability": tf.identity(x)}

    assert foreign_operations(saved(tmp_path / "model", function)) == {"PrintV2"}
    assert not target.exists()


def test_a_model_with_variables_and_a_vocabulary_file_passes(tmp_path):
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")
    holder = tf.Module()
    holder.file = tf.saved_model.Asset(str(vocabulary))
    holder.table = tf.lookup.StaticHashTable(_lines(holder.file), -1)
    holder.weights = tf.Variable([1.0, 2.0, 3.0])
    model = saved(tmp_path / "model", lambda x: {"probability": tf.gather(holder.weights, holder.table.lookup(x) + 1)}, holder)
    refuse_foreign_operations(model)


def test_a_keras_export_passes(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.export(tmp_path / "model", verbose=False)
    refuse_foreign_operations(tmp_path / "model")


def test_a_damaged_model_is_one_sentence(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(InputError, match="cannot be read"):
        refuse_foreign_operations(tmp_path)


@pytest.mark.parametrize("runs_as", ["init", "restore", "nothing"])
def test_an_operation_that_hides_among_those_that_save_is_refused(tmp_path, runs_as):
    """TensorFlow runs the init op of a model of TF1, which a collection names, and its restore op when it loads the model."""
    folder, target = tmp_path / "model", tmp_path / "never"
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x, weight = v1.placeholder(tf.string, [None]), v1.get_variable("w", initializer=0.5)
        tf.io.write_file(str(target), "bad", name="bad")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": tf.fill(tf.shape(x), weight)})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    assert foreign_operations(folder) == {"WriteFile"}
    graph = model.meta_graphs[0]
    last = {"restore": graph.saver_def.restore_op_name}.get(runs_as)
    for node in graph.graph_def.node:
        if node.name in (last, graph.saver_def.save_tensor_name.partition(":")[0]):
            node.input.append("^bad")
    if runs_as == "init":
        graph.collection_def["saved_model_main_op"].node_list.value.append("bad")
    file.write_bytes(model.SerializeToString())
    assert foreign_operations(folder) == {"WriteFile"}
    if runs_as != "nothing":
        tf.saved_model.load(str(folder))
        assert target.exists()  # so it must be refused before it is loaded
