"""Arrow files between the steps of an import: rows are appended, distributed over many files, and read back batch by batch."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
_BUFFERED_BYTES = 32_000_000


def append_table(path: Path, table: pa.Table) -> None:
    """Appends rows to a file of Arrow streams. The file is closed again, so there may be any number of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file, pa.ipc.new_stream(file, table.schema, options=_COMPRESSED) as writer:
        writer.write_table(table)


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yields the batches of such a file, one after the other."""
    with open(path, "rb") as file:
        while file.peek(1):
            yield from pa.ipc.open_stream(file)


def read_table(paths: Iterable[Path]) -> pa.Table | None:
    """Returns all rows of some files, one after the other; None where there is no file."""
    batches = [batch for path in paths for batch in read_batches(path)]
    return pa.Table.from_batches(batches).combine_chunks() if batches else None


class Scatter:
    """Distributes rows over Arrow files by a key, `FOLDER/<key>/<name>.arrow`; a buffer collects them first.

    Args:
        folder: Where the files are written.
        name: The name of the files; each writer must have a different one.
    """

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._buffers: dict[str, list[pa.Table]] = defaultdict(list)
        self._buffered = 0

    def __enter__(self) -> "Scatter":
        return self

    def write(self, table: pa.Table, keys: np.ndarray, prefix: str = "") -> None:
        """Distributes rows.

        Args:
            table: N rows.
            keys: (N,) integers: the file of each row.
            prefix: A folder before the keys, with a slash at its end.
        """
        if not table.num_rows:
            return
        order = np.argsort(keys, kind="stable")
        present, starts = np.unique(keys[order], return_index=True)
        ends = np.append(starts[1:], len(keys))
        table = table.take(order)
        for key, start, end in zip(present, starts, ends, strict=True):
            self._buffers[f"{prefix}{key:05d}"].append(table.slice(start, end - start))
        self._buffered += table.nbytes
        if self._buffered >= _BUFFERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        for key, tables in self._buffers.items():
            append_table(self._folder / key / f"{self._name}.arrow", pa.concat_tables(tables).combine_chunks())
        self._buffers.clear()
        self._buffered = 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
