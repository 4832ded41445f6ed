"""Operations that all workers of one training run together: sums over all workers, the rows of all workers, the values of the first one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from din_trainer.exchange.mesh import Mesh

_BLOCK = 64 * 2**20  # bytes of a variable that are sent at once


class Part(NamedTuple):
    """A worker's part of a batch: the places of its rows in the batch, (n,) int64 ascending, and the number of rows of the whole batch."""

    places: Any
    batch: Any


class Workers:
    """The workers of the training that this process belongs to.

    All workers make the same calls in the same order. In a graph the operations run one after the other, in the order of the calls, so that
    they meet those of the other workers. Results are the same bits on all workers, since all add in the order of the workers.

    Args:
        mesh: The connections.

    Attributes:
        index: The number of this worker, from 0.
        count: How many workers there are.
        part: While a training step is traced, this worker's part of the batch.
    """

    def __init__(self, mesh: Mesh):
        self._mesh = mesh
        self.index, self.count = mesh.index, mesh.count
        self.part: Part | None = None
        self._last: tf.Tensor | None = None

    @contextmanager
    def of_batch(self, part: Part) -> Iterator[None]:
        """Lets layers know this worker's part of the batch while a step is traced."""
        self.part = part
        try:
            yield
        finally:
            self.part = None

    def concatenate(self, parts: Sequence[Any]) -> list[Any]:
        """The rows of all workers, in the order of the workers, for several tensors in one exchange.

        Args:
            parts: (n, …) each, where n may differ between workers; the inner dimensions are static.

        Returns:
            (Σ n, …) each.
        """
        parts = [tf.convert_to_tensor(part) for part in parts]
        shapes = [part.shape[1:] for part in parts]

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            message = _pack(arrays)
            received = [_unpack(other, arrays) for other in self._mesh.exchange([message] * self.count)]
            return [np.concatenate(rows) for rows in zip(*received, strict=True)]

        results = self._op(run, parts, [part.dtype for part in parts])
        for result, shape in zip(results, shapes, strict=True):
            result.set_shape([None, *shape])
        return results

    def to_each(self, x: Any, counts: Any) -> tuple[Any, Any]:
        """Sends each worker other rows.

        Args:
            x: (n, …), the rows for the first worker first; the inner dimensions are static.
            counts: (count,), how many rows are for each worker.

        Returns:
            (m, …), the rows for this worker, in the order of the workers that sent them, and (count,), how many each one has sent.
        """
        x = tf.convert_to_tensor(x)

        def run(rows: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
            parts = np.split(rows, np.cumsum(counts)[:-1])
            received = [_unpack(message, [rows])[0] for message in self._mesh.exchange([_pack([part]) for part in parts])]
            return [np.concatenate(received), np.array([len(part) for part in received], counts.dtype)]

        rows, sent = self._op(run, [x, tf.convert_to_tensor(counts)], [x.dtype, counts.dtype])
        rows.set_shape([None, *x.shape[1:]])
        sent.set_shape([self.count])
        return rows, sent

    def gather(self, x: Any) -> Any:
        """The tensors of all workers, of one static shape: (…) -> (count, …)."""
        x = tf.convert_to_tensor(x)
        (result,) = self.concatenate([x[None]])
        return tf.ensure_shape(result, [self.count, *x.shape])

    def sum(self, x: Any) -> Any:
        """The sum over all workers, of tensors of one static shape."""
        return tf.reduce_sum(self.gather(x), axis=0)

    def from_first(self, variable: tf.Variable) -> None:
        """Gives a variable the value that it has on the first worker. Outside graphs only."""
        rows = variable.shape[0] if variable.shape.rank else 1
        size = variable.shape.num_elements() * variable.dtype.size
        if size <= _BLOCK:
            variable.assign(self._first(variable.numpy()))
            return
        step = max(rows * _BLOCK // size, 1)
        for start in range(0, rows, step):
            block = tf.range(start, min(start + step, rows))  # by rows, since a read of the whole would copy it
            values = self._first(tf.gather(variable, block).numpy())
            if self.index:
                variable.scatter_update(tf.IndexedSlices(values, block))

    def figures_of_first(self, figures: dict[str, float]) -> dict[str, float]:
        """The numbers of the first worker. The others may give other numbers for the same names."""
        values = self._first(np.array(list(figures.values()), np.float64))
        return dict(zip(figures, values.tolist(), strict=True))

    def _first(self, array: np.ndarray) -> np.ndarray:
        """The array of the first worker; all have one shape and type."""
        message = _bytes(array) if self.index == 0 else b""
        first = self._mesh.exchange([message] * self.count)[0]
        return np.frombuffer(first, array.dtype).reshape(array.shape)

    def _op(self, function: Callable[..., list[np.ndarray]], inputs: Sequence[tf.Tensor], dtypes: Sequence[tf.DType]) -> list[tf.Tensor]:
        """An operation that exchanges something. In a graph it runs behind the last one."""
        if tf.executing_eagerly():
            return [tf.constant(array) for array in function(*(x.numpy() for x in inputs))]
        last = self._last
        behind = [last] if last is not None and last.graph is tf.compat.v1.get_default_graph() else []
        with tf.control_dependencies(behind):
            results = tf.numpy_function(function, inputs, dtypes)
        self._last = results[0]
        return results


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _pack(arrays: Sequence[np.ndarray]) -> bytes:
    """The number of rows of each array, and then their values."""
    rows = np.array([len(array) for array in arrays], np.int64)
    return b"".join([_bytes(rows), *map(_bytes, arrays)])


def _unpack(message: Any, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays of a message, with the types and inner shapes of others."""
    offset = 8 * len(like)
    arrays = []
    for rows, array in zip(np.frombuffer(message, np.int64, len(like)), like, strict=True):
        shape = (int(rows), *array.shape[1:])
        count = int(np.prod(shape))
        arrays.append(np.frombuffer(message, array.dtype, count, offset).reshape(shape))
        offset += count * array.itemsize
    return arrays


_workers: Workers | None = None  # a process belongs to one training at a time


def current() -> Workers | None:
    """The workers that this process trains with, or None if it trains alone."""
    return _workers


@contextmanager
def alone() -> Iterator[None]:
    """While this is open, this process acts as if it trained alone."""
    global _workers
    before, _workers = _workers, None
    try:
        yield
    finally:
        _workers = before


@contextmanager
def together(mesh: Mesh) -> Iterator[Workers]:
    """Makes this process one of the workers of a training.

    Raises:
        WorkerLost: An exchange failed, whatever it was raised as.
    """
    global _workers
    _workers = Workers(mesh)
    try:
        yield _workers
    except Exception as error:
        raise mesh.lost or error from None
    finally:
        _workers = None
        mesh.close()
