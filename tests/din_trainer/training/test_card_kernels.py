"""TensorFlow has kernels for cards (GPUs) for the operations of a training step. No card is needed to see that.

An operation without such a kernel is computed on a core, between two copies. One that reads or writes a weight could not be computed.
"""

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from din_trainer.config import DINConfig
from din_trainer.layers import parts
from din_trainer.models.make_model import make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer import all_kinds, batches

pytestmark = pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="this TensorFlow has no kernels for cards")
_ON_CORES = {"GatherNd"}  # of ids, to leave out the padding: the batch comes from cores anyway
_BST = {"DenseBincount", "RaggedTensorToTensor"}  # to pad histories
SETTINGS = {
    "by default": {},
    "mixed precision, Adam, clipped": {"training": {"precision": "mixed_bfloat16", "optimizer": "adam", "clip_norm": 1.0}},
    "regularised, softmax, PReLU": {"training": {"regularization": 0.1}, "model": {"attention_softmax": True, "activation": "prelu"}},
    "DCN": {"model": {"kind": "dcn"}},
    "BST": {"model": {"kind": "bst"}},
}


def without_kernel(graph):
    """The operations of a graph and its functions that no card has a kernel for, for these types."""
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes if node.op not in functions and not _has_kernel(node)}


def _has_kernel(node):
    return any(
        kernel.device_type in ("GPU", "DEFAULT")
        and all(node.attr[rule.name].type in rule.allowed_values.list.type for rule in kernel.constraint)
        for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
    )


@pytest.fixture(autouse=True)
def card(monkeypatch):
    """Batches are in one part, as on a card."""
    monkeypatch.setattr(parts, "cards", lambda: ["a card"])


def graph_of_a_step(settings, make_batch, sizes):
    model = make_model(DINConfig.model_validate(settings), sizes)
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    inputs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype) for name, values in make_batch(8).items()}
    step = tf.function(model.train_step, autograph=False).get_concrete_function((inputs, tf.TensorSpec([None], tf.int64)))
    return step.graph.as_graph_def()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_step_can_run_on_a_card(name):
    graph = graph_of_a_step(SETTINGS[name], batches.make_batch, batches.SIZES)
    assert without_kernel(graph) <= (_ON_CORES | _BST if name == "BST" else _ON_CORES)


def test_a_training_step_with_all_kinds_of_features_can_run_on_a_card():
    assert without_kernel(graph_of_a_step({"features": all_kinds.FEATURES}, all_kinds.make_batch, all_kinds.SIZES)) <= _ON_CORES


def test_a_missing_kernel_is_found():
    graph = tf.function(lambda x: tf.numpy_function(lambda x: x, [x], tf.float32)).get_concrete_function(tf.TensorSpec([2], tf.float32))
    assert without_kernel(graph.graph.as_graph_def()) == {"PyFunc"}
