"""Work cut into parts that Beam maps over, with Arrow files between the steps.

The shuffle by user goes through files, since Beam's local runner would hold all of a GroupByKey in memory: so memory is bounded by the
largest part, not by the data. Files are appended to, which that runner allows: it works on each part once.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.beam import local_options
from pipeline.errors import InputError, causes

T = TypeVar("T")
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


def map_parts(work: Callable[[T], dict[str, Any]], parts: list[T], folder: Path) -> list[dict[str, Any]]:
    """What `work` returns for each part, in no particular order.

    Args:
        work: Picklable, as are the parts; it returns what JSON can hold.
        parts: What to work on.
        folder: Where results are put down; it must not exist.

    Raises:
        InputError, OSError, KeyboardInterrupt: What `work` raises; Beam would wrap it.
    """
    try:
        with beam.Pipeline(options=PipelineOptions(local_options())) as pipeline:
            (
                pipeline
                | beam.Create(parts, reshuffle=len(parts) > 1)
                | beam.Map(lambda part: json.dumps(work(part)))
                | beam.io.WriteToText(str(folder / "result"))
            )
    except Exception as error:
        original = [cause for cause in causes(error) if isinstance(cause, InputError | OSError | KeyboardInterrupt)]
        if original:
            raise original[-1] from None
        raise
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]
