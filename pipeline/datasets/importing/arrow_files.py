"""Arrow files between the steps of an import: they can be appended to, and are read back batch by batch."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


def append_table(path: Path, table: pa.Table) -> None:
    """Appends rows to a file of Arrow streams; nothing stays open, so there may be any number of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file, pa.ipc.new_stream(file, table.schema, options=_COMPRESSED) as writer:
        writer.write_table(table)


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of such a file one after the other."""
    with open(path, "rb") as file:
        while file.peek(1):
            yield from pa.ipc.open_stream(file)


def read_table(paths: Iterable[Path]) -> pa.Table | None:
    """All rows of some files, one after the other; None where there is no file."""
    batches = [batch for path in paths for batch in read_batches(path)]
    return pa.Table.from_batches(batches).combine_chunks() if batches else None
