"""A SavedModel in TensorFlow's C API, called by ctypes without Python TensorFlow. TF Serving loads models with the same C++ code.

Sources of the calls: tensorflow/c/c_api.h, tf_tensor.h, tf_tstring.h and tf_status.h.
"""

import ctypes
import importlib.util
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

Feeds = list[tuple[str, np.ndarray]]

_STRING = 7  # TF_STRING
_TSTRING_BYTES = 24  # the size of a TF_TString
_TYPES = {
    1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 5: np.int16, 6: np.int8, 9: np.int64, 10: np.bool_, 17: np.uint16,
    19: np.float16, 22: np.uint32, 23: np.uint64,
}  # fmt: skip
_CODES = {np.dtype(dtype): code for code, dtype in _TYPES.items()}
_INVALID_ARGUMENT, _NOT_FOUND = 3, 5  # TensorFlow's status codes


class Failed(Exception):
    """TensorFlow gave a status that is not OK. The arguments are its code and message."""


class _Output(Structure):
    """TF_Output: one of the outputs of an operation."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, c_void_p],
    ),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_OperationNumOutputs": (c_int, [c_void_p]),
    "TF_SessionRun": (
        None,
        [c_void_p, c_void_p, POINTER(_Output), POINTER(c_void_p), c_int, POINTER(_Output), POINTER(c_void_p), c_int, c_void_p, c_int,
         c_void_p, c_void_p],
    ),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_StringInit": (None, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
    "TF_StringDealloc": (None, [c_void_p]),
}  # fmt: skip


def load_library() -> ctypes.CDLL:
    """Loads libtensorflow_cc of the installed wheel. The package is found without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("tensorflow is not installed")
    library = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "libtensorflow_cc.so.2"))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Session:
    """A loaded SavedModel, and the conversion of arrays from and to TF_Tensors."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._tf = library
        self._status = library.TF_NewStatus()
        self._graph: int | None = None
        self._session: int | None = None

    def _check(self, status: int) -> None:
        code = self._tf.TF_GetCode(status)
        if code:
            raise Failed(code, self._tf.TF_Message(status).decode(errors="replace"))

    def load(self, folder: str, config: bytes) -> None:
        """Loads the graph tagged `serve`, its variables and assets, and runs its initialisers."""
        options, self._graph = self._tf.TF_NewSessionOptions(), self._tf.TF_NewGraph()
        self._tf.TF_SetConfig(options, config, len(config), self._status)
        self._check(self._status)
        tags = (c_char_p * 1)(b"serve")
        self._session = self._tf.TF_LoadSessionFromSavedModel(options, None, os.fsencode(folder), tags, 1, self._graph, None, self._status)
        self._check(self._status)

    def run(self, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        """Returns the fetched tensors."""
        with _Call(self, feeds, fetches) as call:
            call.run()
            return call.results()

    def time(self, feeds: Feeds, fetches: Sequence[str], repeat: int, callers: int = 1) -> np.ndarray:
        """Returns the seconds that each of `repeat` runs of each caller took, without the copies from and to Python: (callers · repeat,).

        All callers call at the same time, each in a thread of its own, and each again as soon as it has its answer.
        """
        start = Barrier(callers)

        def call_again_and_again(_: int) -> np.ndarray:
            seconds = np.empty(repeat)
            with _Call(self, feeds, fetches) as call:
                start.wait()
                for i in range(repeat):
                    seconds[i] = call.run()
                    call.free_results()
            return seconds

        if callers == 1:
            return call_again_and_again(0)
        with ThreadPoolExecutor(callers) as pool:
            return np.concatenate(list(pool.map(call_again_and_again, range(callers))))

    def outputs(self, names: Sequence[str]) -> Any:
        """Converts names of tensors, such as `operation:0`, to the form that TF_SessionRun takes."""
        found = (_Output * len(names))()
        for output, name in zip(found, names, strict=True):
            operation, _, index = name.rpartition(":")
            output.operation, output.index = self._tf.TF_GraphOperationByName(self._graph, operation.encode()), int(index)
            if not output.operation or output.index >= self._tf.TF_OperationNumOutputs(output.operation):
                raise Failed(_NOT_FOUND, f"the graph has no tensor {name!r}")
        return found

    def session_run(self, inputs: Any, tensors: Any, outputs: Any, results: Any) -> float:
        """Calls TF_SessionRun and returns the seconds that it took. Several threads may call it at once."""
        status = self._tf.TF_NewStatus()
        try:
            start = time.perf_counter()
            self._tf.TF_SessionRun(
                self._session, None, inputs, tensors, len(tensors), outputs, results, len(results), None, 0, None, status
            )
            seconds = time.perf_counter() - start
            self._check(status)
        finally:
            self._tf.TF_DeleteStatus(status)
        return seconds

    def to_tensor(self, array: np.ndarray) -> int:
        """Returns a TF_Tensor with a copy of an array; an object array holds bytes."""
        code = _STRING if array.dtype == object else _CODES.get(array.dtype)
        if code is None:
            raise Failed(_INVALID_ARGUMENT, f"arrays of {array.dtype} are not supported")
        shape = (c_int64 * array.ndim)(*array.shape)
        size = array.size * _TSTRING_BYTES if code == _STRING else array.nbytes
        tensor: int | None = self._tf.TF_AllocateTensor(code, shape, array.ndim, size)
        if tensor is None:
            raise MemoryError
        data = self._tf.TF_TensorData(tensor)
        if code == _STRING:
            for i, value in enumerate(array.flat):
                self._tf.TF_StringInit(data + i * _TSTRING_BYTES)
                self._tf.TF_StringCopy(data + i * _TSTRING_BYTES, value, len(value))
        elif size:
            ctypes.memmove(data, np.asarray(array, order="C").ctypes.data, size)
        return tensor

    def to_array(self, tensor: int) -> np.ndarray:
        """Returns a copy of a TF_Tensor; strings become an object array of bytes."""
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        code, size, data = self._tf.TF_TensorType(tensor), self._tf.TF_TensorByteSize(tensor), self._tf.TF_TensorData(tensor)
        if code == _STRING:
            array = np.empty(shape, object)
            array.reshape(-1)[:] = [self._string(data + i * _TSTRING_BYTES) for i in range(array.size)]
            return array
        if code not in _TYPES:
            raise Failed(_INVALID_ARGUMENT, f"outputs of TensorFlow's type {code} are not supported")
        return np.frombuffer(ctypes.string_at(data, size) if size else b"", _TYPES[code]).reshape(shape)

    def _string(self, text: int) -> bytes:
        return ctypes.string_at(self._tf.TF_StringGetDataPointer(text), self._tf.TF_StringGetSize(text))

    def free(self, tensor: int, made_here: bool) -> None:
        """Frees a TF_Tensor. If it was made here, its strings are freed first, since TensorFlow leaves them to the caller."""
        if made_here and self._tf.TF_TensorType(tensor) == _STRING:
            data = self._tf.TF_TensorData(tensor)
            for i in range(self._tf.TF_TensorByteSize(tensor) // _TSTRING_BYTES):
                self._tf.TF_StringDealloc(data + i * _TSTRING_BYTES)
        self._tf.TF_DeleteTensor(tensor)


class _Call:
    """The tensors of one request, which are freed when the context ends."""

    def __init__(self, session: Session, feeds: Feeds, fetches: Sequence[str]) -> None:
        self._session = session
        self._inputs, self._outputs = session.outputs([name for name, _ in feeds]), session.outputs(fetches)
        self._tensors, self._results = (c_void_p * len(feeds))(), (c_void_p * len(fetches))()
        self._arrays = [array for _, array in feeds]

    def __enter__(self) -> "_Call":
        try:
            for i, array in enumerate(self._arrays):
                self._tensors[i] = self._session.to_tensor(array)
        except BaseException:
            self._free_tensors()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.free_results()
        self._free_tensors()

    def run(self) -> float:
        return self._session.session_run(self._inputs, self._tensors, self._outputs, self._results)

    def results(self) -> list[np.ndarray]:
        return [self._session.to_array(tensor) for tensor in self._results if tensor]

    def free_results(self) -> None:
        self._free(self._results, made_here=False)

    def _free_tensors(self) -> None:
        self._free(self._tensors, made_here=True)

    def _free(self, tensors: Any, made_here: bool) -> None:
        for i, tensor in enumerate(tensors):
            if tensor:
                self._session.free(tensor, made_here)
                tensors[i] = None
