"""A SavedModel is a program: one that reads or writes files, or calls Python, is refused before it is loaded."""

import re

import keras
import pytest
import tensorflow as tf

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
