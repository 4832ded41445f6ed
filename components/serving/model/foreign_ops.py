"""Refuses a SavedModel that could do more than compute: its graph is a program, and TensorFlow runs whatever is in it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from components.base.errors import InputError
from components.base.tfx_pins import read_meta_graph

# Operations that read or write files, call Python, print, or talk to other machines.
_FOREIGN = re.compile(
    r"File|Save|Checkpoint|Reader|RecordDataset|TextLineDataset|SqlDataset|Snapshot|LoadDataset|CacheDataset|DataService|PyFunc|Generator"
    r"|Summary|^Print|^Debug|Rpc|RemoteCall"
)
_SAVING = {"SaveV2", "MergeV2Checkpoints", "ShardedFilename"}
_NODE = "node "  # before the names of nodes, which may be those of functions
_VOCABULARY = re.compile(r"InitializeTableFromTextFile(V2)?$")  # reads a vocabulary of the model


def foreign_operations(saved_model: Path) -> set[str]:
    """The operations of a SavedModel that do more than compute.

    Every SavedModel has operations that save its variables. They are left out if they can run neither when the model is loaded nor when a
    signature is called.

    Raises:
        OSError, RuntimeError, google.protobuf.message.DecodeError: The model cannot be read.
    """
    meta_graph = read_meta_graph(saved_model)
    graph, saver = _Graph(meta_graph.graph_def), meta_graph.saver_def
    at_load = [name for collection in meta_graph.collection_def.values() for name in collection.node_list.value]  # TF1's init ops
    outputs = [info.name for signature in meta_graph.signature_def.values() for info in signature.outputs.values()]
    can_run = graph.needed([*outputs, *at_load, saver.restore_op_name], functions=meta_graph.object_graph_def.concrete_functions)
    saves_only = graph.needed([saver.save_tensor_name]) - can_run
    ops = {op for place, ops in graph.ops.items() for op in (ops - _SAVING if place in saves_only else ops)}
    return {op for op in ops if _FOREIGN.search(op) and not _VOCABULARY.match(op)}


class _Graph:
    """A graph and its functions.

    Attributes:
        ops: The operations in each function, and of each node outside of the functions, by its name.
    """

    def __init__(self, graph: Any):
        bodies = {function.signature.name: list(function.node_def) for function in graph.library.function}
        bodies |= {f"{_NODE}{node.name}": [node] for node in graph.node}
        self.ops = {place: {node.op for node in nodes} for place, nodes in bodies.items()}
        self._next = {place: {called for node in nodes for called in _called(node)} for place, nodes in bodies.items()}
        for node in graph.node:
            self._next[f"{_NODE}{node.name}"] |= {_place(tensor) for tensor in node.input}

    def needed(self, tensors: Iterable[str], functions: Iterable[str] = ()) -> set[str]:
        """The nodes and functions that run when tensors are computed and functions are called."""
        waiting, found = [*map(_place, tensors), *functions], set[str]()
        while waiting:
            place = waiting.pop()
            if place in self.ops and place not in found:
                found.add(place)
                waiting += self._next[place]
        return found


def _called(node: Any) -> set[str]:
    """The functions that a node may call."""
    named = {attribute.func.name for attribute in node.attr.values()}
    return {node.op} | named | {function.name for attribute in node.attr.values() for function in attribute.list.func}


def _place(tensor: str) -> str:
    """The node of a tensor: `node` for `^node` and `node:1`."""
    return _NODE + tensor.removeprefix("^").partition(":")[0]


def refuse_foreign_operations(saved_model: Path) -> None:
    """Refuses a model of somebody else that could harm this machine. Our own exports hold no such operation.

    Raises:
        InputError: The model has an operation of `foreign_operations`, or cannot be read.
    """
    try:
        foreign = foreign_operations(saved_model)
    except (OSError, RuntimeError, DecodeError) as error:
        raise InputError(f"{saved_model} cannot be read ({' '.join(str(error).split())[:200]}): copy or push it again.") from error
    if foreign:
        raise InputError(
            f"{saved_model} does more than compute ({', '.join(sorted(foreign))}), so it could harm this machine: name a model that was "
            "exported by din."
        )
