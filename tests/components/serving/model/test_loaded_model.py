"""The C++ loader in its own process: arrays come back as they were sent, and each failure has its own error."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import ConfigProto
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from components.serving.model import loaded_model
from components.serving.model.loaded_model import LoadedModel
from components.serving.model.model_errors import Crashed, LoadError, RunError, one_line
from components.serving.model.saved_signatures import Signature, Tensor, read_signatures

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "string"
]  # fmt: skip
STRINGS = [b"", b"\x00", b"a\x00b\x00", b"\xff\xfe", b"short", b"longer than the 22 bytes that a string holds in place" * 100]


class _Signatures(tf.Module):
    def __init__(self, asset):
        super().__init__()
        self.scale = tf.Variable(tf.ones([1000]) * 3.0)
        lines, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
        self.table = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(asset, tf.string, whole, tf.int64, lines), 1)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def triple(self, x):
        return {"y": x * self.scale[0], "shape": tf.shape(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="names")])
    def read(self, names):
        return {"ids": self.table.lookup(names), "longer": tf.strings.join([names, "!"])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="step")])
    def spin(self, step):
        return {"y": tf.while_loop(lambda i: i < 2, lambda i: i + 0 * step, [step])[0]}


def _echo(dtype):
    return tf.function(lambda x: {"x": tf.identity(x)}, input_signature=[tf.TensorSpec(None, dtype, name="x")])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    asset = folder / "words"
    asset.write_text("zero\none\ntwo\n")
    module = _Signatures(str(asset))
    echoes = {f"echo_{dtype}": _echo(dtype) for dtype in DTYPES}
    signatures = {"triple": module.triple, "read": module.read, "spin": module.spin, **echoes}
    tf.saved_model.save(module, str(folder / "1"), signatures=signatures)
    return folder / "1"


@pytest.fixture(scope="module")
def model(saved):
    with LoadedModel(saved, threads=1) as model:
        yield model


@pytest.mark.parametrize("threads, op_threads, expected", [(None, None, (0, 0)), (3, None, (3, 3)), (3, 1, (3, 1))])
def test_the_threads_of_the_session(saved, monkeypatch, threads, op_threads, expected):
    sent = []
    exchange = LoadedModel._exchange
    monkeypatch.setattr(LoadedModel, "_exchange", lambda self, *message: (sent.append(message[0]), exchange(self, *message))[1])
    with LoadedModel(saved, threads, op_threads):
        [config] = [ConfigProto.FromString(bytes.fromhex(message[2])) for message in sent if message and message[0] == "load"]
    assert (config.inter_op_parallelism_threads, config.intra_op_parallelism_threads) == expected


def test_python_tensorflow_is_not_in_the_process(model):
    modules = set(model.modules())
    assert "numpy" in modules
    assert not {"tensorflow", "keras", "tf_keras", "tfx", "google.protobuf"} & modules


def test_the_process_sees_no_card(model):
    """It computes on the CPU, as most servers do, and takes no memory of a card that the training needs."""
    assert b"CUDA_VISIBLE_DEVICES=-1" in Path(f"/proc/{model.pid}/environ").read_bytes().split(b"\0")


@pytest.mark.parametrize("shape", [(), (0,), (6,), (2, 0, 3), (3, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_as_they_went(model, dtype, shape):
    size = int(np.prod(shape))
    values = STRINGS[-size:] if dtype == "string" else [i % 2 for i in range(size)] if dtype == "bool" else range(1, size + 1)
    array = np.array(list(values) if size else [], object if dtype == "string" else dtype).reshape(shape)
    (outcome,) = model.run(f"echo_{dtype}", {"x": array}).values()
    assert (outcome.dtype, outcome.shape, outcome.tolist()) == (array.dtype, array.shape, array.tolist())


def test_arrays_that_are_not_contiguous_and_extreme_numbers(model):
    array = np.arange(12, dtype=np.int64).reshape(3, 4)[:, ::2].T
    np.testing.assert_array_equal(model.run("echo_int64", {"x": array})["x"], [[0, 4, 8], [2, 6, 10]])
    extremes = np.array([np.iinfo(np.int64).min, -1, np.iinfo(np.int64).max])
    np.testing.assert_array_equal(model.run("echo_int64", {"x": extremes})["x"], extremes)
    numbers = np.array([np.nan, -np.inf, 1e-40, -0.0], np.float32)
    assert model.run("echo_float32", {"x": numbers})["x"].tobytes() == numbers.tobytes()


def test_outputs_by_name_with_a_table_from_an_asset(model):
    outputs = model.run("triple", {"x": np.array([[1.0, -2.0]], np.float32)})
    np.testing.assert_array_equal(outputs["y"], [[3, -6]])
    np.testing.assert_array_equal(outputs["shape"], [1, 2])
    words = model.run("read", {"names": np.array([b"two", b"zero", b"none of them"], object)})
    assert words["ids"].tolist() == [2, 0, 3]
    assert words["longer"].tolist() == [b"two!", b"zero!", b"none of them!"]


def test_strings_leave_no_memory_behind(model):
    array = np.array([bytes(1 << 20)] * 16, object)
    model.run("echo_string", {"x": array})
    before = model.resident_bytes()
    for _ in range(10):
        model.run("echo_string", {"x": array})
    assert model.resident_bytes() - before < 64 << 20  # ten requests have 160 MiB


def test_signatures_as_the_model_states_them(model, saved):
    assert read_signatures(saved).keys() == model.signatures.keys() == {"triple", "read", "spin", *(f"echo_{dtype}" for dtype in DTYPES)}
    (names,), outputs = model.signatures["read"].inputs.values(), model.signatures["read"].outputs
    assert isinstance(model.signatures["read"], Signature) and names == Tensor("read_names:0", "string", (None,))
    assert [(key, output.dtype) for key, output in outputs.items()] == [("ids", "int64"), ("longer", "string")]
    assert model.signatures["triple"].inputs["x"].shape is None


def test_times_are_those_of_each_run(model):
    seconds = model.time("triple", {"x": np.zeros(3, np.float32)}, repeat=7)
    assert seconds.shape == (7,) and (seconds > 0).all()


def test_several_callers_are_timed_at_once(model):
    """Each of them makes all its calls."""
    seconds = model.time("triple", {"x": np.zeros(3, np.float32)}, repeat=7, callers=4)
    assert seconds.shape == (28,) and (seconds > 0).all()


def test_memory(model):
    assert 0 < model.idle_bytes <= model.resident_bytes() <= model.peak_bytes()
    assert model.memory_bytes() == model.peak_bytes() - model.idle_bytes


X = np.zeros(1, np.float32)


@pytest.mark.parametrize(
    ("signature", "inputs", "code", "message"),
    [
        ("absent", {}, 9, "there is no signature 'absent'"),
        ("triple", {}, 3, "the inputs do not fit the signature: missing: x; unknown: none"),
        ("triple", {"y": X}, 3, "the inputs do not fit the signature: missing: x; unknown: y"),
        ("triple", {"x": np.zeros(1, np.int64)}, 3, "Expects arg[0] to be float but int64 is provided"),
        ("triple", {"x": np.zeros(1, np.complex64)}, 3, "arrays of complex64 are not supported"),
        ("echo_string", {"x": np.array(["text"], object)}, 3, "strings must be given as bytes"),
    ],
)
def test_requests_that_fail_have_a_code_and_a_line(model, signature, inputs, code, message):
    with pytest.raises(RunError) as raised:
        model.run(signature, inputs)
    assert (raised.value.code, str(raised.value)) == (code, message)
    np.testing.assert_array_equal(model.run("triple", {"x": X})["y"], [0])  # the process still answers


def test_messages_are_cut_to_the_first_line_of_the_first_error():
    both = (
        "2 root error(s) found.\n  (0) INVALID_ARGUMENT: indices[0] = 9 is not in [0, 3)\n\t [[{{node a/b}}]]\n\t [[c/_5]]\n"
        "  (1) INVALID_ARGUMENT: indices[0] = 9 is not in [0, 3)\n\t [[{{node a/b}}]]\n0 successful operations."
    )
    assert one_line(both) == "indices[0] = 9 is not in [0, 3)"
    assert one_line("cut off [[{{function_node f}}{{node x}}]]") == "cut off"
    assert one_line("not\n\tone [[4]] line\n\t [[{{node x}}]]") == "not one [[4]] line"


def test_a_hang_is_ended(saved):
    with LoadedModel(saved) as model:
        with pytest.raises(Crashed, match=r"gave no answer in 0\.5 s"):
            model.run("spin", {"step": np.array(0, np.int32)}, timeout=0.5)
        with pytest.raises(ProcessLookupError):
            os.kill(model.pid, 0)
        with pytest.raises(Crashed):
            model.run("triple", {"x": X})


def test_a_process_that_dies_is_reported_with_its_signal(saved):
    with LoadedModel(saved) as model:
        os.kill(model.pid, signal.SIGSEGV)
        with pytest.raises(Crashed, match="ended by signal 11"):
            model.run("triple", {"x": X})


def test_the_last_message_of_the_process_is_reported(saved, tmp_path, monkeypatch):
    program = tmp_path / "loader.py"
    program.write_text(
        "import os, sys\nprint('F0000 00:00:1 1 tensor.cc:8] Check failed: 1 == 2', file=sys.stderr)\n"
        "print('a trace', file=sys.stderr, flush=True)\nos._exit(3)\n"
    )
    monkeypatch.setattr(loaded_model, "_LOADER_COMMAND", [sys.executable, str(program)])
    with pytest.raises(Crashed, match=r"ended with exit code 3 \(F0000 .* Check failed: 1 == 2\)"):
        LoadedModel(saved)


def test_no_process_is_left(saved):
    model = LoadedModel(saved)
    model.close()
    model.close()
    assert not Path(f"/proc/{model.pid}").exists()
    with pytest.raises(LoadError):
        LoadedModel(saved / "nothing")


def damaged(saved, folder, damage):
    """A copy of the SavedModel whose proto is changed."""
    copy = folder / "1"
    copy.mkdir()
    for path in saved.iterdir():
        (copy / path.name).symlink_to(path)
    proto = SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    damage(proto.meta_graphs[0])
    (copy / "saved_model.pb").unlink()
    (copy / "saved_model.pb").write_bytes(proto.SerializeToString())
    return copy


def test_what_cannot_be_loaded_has_tensorflow_s_code(saved, tmp_path):
    def rename_op(graph):
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                node.op = "DinNoSuchOp" if node.op == "StringJoin" else node.op

    copy = damaged(saved, tmp_path, rename_op)
    with pytest.raises(LoadError, match="Op type not registered 'DinNoSuchOp'") as raised:
        LoadedModel(copy)
    assert raised.value.code == 5
    (copy / "saved_model.pb").write_bytes(b"no proto")
    with pytest.raises(LoadError) as raised:
        LoadedModel(copy)
    assert raised.value.code == 0


def test_a_signature_may_name_a_tensor_that_is_not_there(saved, tmp_path):
    def misname(graph):
        graph.signature_def["triple"].outputs["y"].name = "nowhere:0"

    with LoadedModel(damaged(saved, tmp_path, misname)) as model, pytest.raises(RunError, match="no tensor 'nowhere:0'"):
        model.run("triple", {"x": X})


def test_the_loader_is_run_by_this_interpreter(model):
    assert Path(f"/proc/{model.pid}/exe").readlink() == Path(sys.executable).resolve()
