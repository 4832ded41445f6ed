"""The folder layout of every data set, and how it is written.

DIR/train/*.tfrecord.gz       what the model learns from
DIR/validation/*.tfrecord.gz  what training uses to select (early stopping)
DIR/eval/*.tfrecord.gz        what the model is judged on; not used for anything else
DIR/manifest.json             source, command, seed, split rule, counts, time range, oracle if known
DIR/sample.jsonl              20 evaluation impressions as JSON, ready for `din predict`
"""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.cores import usable_cores
from components.base.errors import DataError, InputError
from components.base.scratch_folder import clear_scratch, scratch_folder
from components.base.shards import shard_files
from components.base.tfrecord_writer import TFRecordWriter
from pipeline.datasets.manifest import MANIFEST
from pipeline.datasets.sample_rows import nested_lists, to_json_rows

SPLITS = ("train", "validation", "eval")
SAMPLE = "sample.jsonl"
SAMPLE_SIZE = 20
SHARD_SIZE = 100_000  # impressions in a file, about
_MOST_THREADS = 8  # so that machines with many cores need no more memory


def scalar_column(values: np.ndarray) -> pa.Array:
    """Returns a column with exactly one value in each row."""
    return list_column(values, np.arange(len(values) + 1))


def list_column(values: np.ndarray | pa.Array, offsets: np.ndarray) -> pa.Array:
    """Returns a column of lists: row i holds `values[offsets[i]:offsets[i + 1]]`."""
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values if isinstance(values, pa.Array) else pa.array(values))


def to_lists(table: pa.Table) -> pa.RecordBatch:
    """Returns every column as lists, as `DatasetWriter.write` takes them; a missing value becomes an empty list."""
    columns = [_as_lists(table[name].combine_chunks()) for name in table.column_names]
    fields = [pa.field(field.name, column.type, metadata=field.metadata) for field, column in zip(table.schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _as_lists(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type):
        return list_column(column.flatten(), np.concatenate(([0], np.cumsum(_list_lengths(column)))))
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float32())
    there = column.is_valid().to_numpy(zero_copy_only=False)
    return list_column(column.drop_null(), np.concatenate(([0], np.cumsum(there))))


def _list_lengths(column: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)


def _is_history(name: str, batch: pa.RecordBatch) -> bool:
    """Whether a column is a history, by its name or since a row has several values."""
    return name.startswith("historical_") or bool((_list_lengths(batch.column(name)) > 1).any())


class FolderWriter:
    """Writes shards to a scratch folder and moves them into place when all are complete, so that nobody reads half of a data set.

    Args:
        out: Folder to make; it must be new or empty.
        shard_size: Impressions in a file; a new file begins when the last one has at least this many.

    Attributes:
        scratch: A folder for intermediate files; it is deleted at the end.
        pool: Threads that encode and compress, one for each core. What else makes the data set may use them before it writes.

    Raises:
        InputError: `out` is not empty, or its parent cannot be written.
    """

    def __init__(self, out: Path, shard_size: int):
        self._out = out.resolve()
        self._fills = self._out.is_dir()  # an empty folder is kept, since it may be a mount point
        if self._fills:
            clear_scratch(self._out)
        if self._out.exists() and (not self._fills or any(self._out.iterdir())):
            raise InputError(f"{out} exists already: name an empty or a new folder.")
        self._shard_size = shard_size
        self._shards: dict[str, tuple[TFRecordWriter, int]] = {}
        self._samples: dict[str, list[dict[str, Any]]] = {}
        self._stack = contextlib.ExitStack()
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            folder = self._stack.enter_context(scratch_folder(self._out if self._fills else self._out.parent))
            self._part, self.scratch = folder / "data", folder / "scratch"
            for made in (self.scratch, self._part):
                made.mkdir()
        except OSError as error:
            self._stack.close()
            raise InputError(f"{out} cannot be written ({error.strerror}): name another folder with --out.") from error
        self.pool = self._stack.enter_context(ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS)))

    def __enter__(self) -> Self:
        return self

    def _append(self, folder: str, batch: pa.RecordBatch) -> None:
        """Appends the rows of `batch` to the shards of a folder, which is made if it is not there."""
        writer, room = self._shards.get(folder, (None, 0))
        if writer is None or room <= 0:
            self._close_shard(folder)
            (self._part / folder).mkdir(parents=True, exist_ok=True)
            index = len(list((self._part / folder).iterdir()))
            writer, room = TFRecordWriter(self._part / folder / f"part-{index:05d}.tfrecord.gz", self.pool), self._shard_size
        self._shards[folder] = (writer, room - batch.num_rows)
        writer.write(batch)

    def _close_shard(self, folder: str) -> None:
        if folder in self._shards:
            self._shards.pop(folder)[0].close()

    def _add_to_sample(self, folder: str, batch: pa.RecordBatch) -> None:
        """Takes rows for the sample in a folder, until it has `SAMPLE_SIZE`."""
        sample = self._samples.setdefault(folder, [])
        rows = batch.slice(0, SAMPLE_SIZE - len(sample))
        if rows.num_rows:
            scalars = {name for name in batch.schema.names if not _is_history(name, batch)}
            sample += to_json_rows(rows, scalars, nested_lists(batch))

    def _describe(self, folder: str, manifest: dict[str, Any]) -> None:
        """Writes the manifest of a folder, and its sample if it has one; "" is the data set itself."""
        (self._part / folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        if folder in self._samples:
            (self._part / folder / SAMPLE).write_text("".join(json.dumps(row) + "\n" for row in self._samples.pop(folder)))

    def _finish(self) -> None:
        """Writes what describes the data set."""
        raise NotImplementedError

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._name(error)
        try:
            with self._stack:
                with contextlib.ExitStack() as closing:
                    for writer, _ in self._shards.values():
                        closing.callback(writer.close)
                if kind is None:
                    self._finish()
                    self._move_into_place()
        except OSError as failed:
            self._name(failed)
            raise

    def _name(self, error: BaseException | None) -> None:
        """Gives an error of the disk the name of the data set, if it has none: Arrow's have none."""
        if isinstance(error, OSError):
            error.filename = error.filename or str(self._out)

    def _move_into_place(self) -> None:
        try:
            if self._fills:
                names = sorted((path.name for path in self._part.iterdir()), key=lambda name: (name == MANIFEST, name))
                for name in names:  # the manifest comes last: with it the data set is whole
                    (self._part / name).rename(self._out / name)
            else:
                self._part.rename(self._out)
        except OSError as error:  # another process made it meanwhile
            raise InputError(f"{self._out} cannot be written ({error.strerror}): name another folder with --out.") from error


class DatasetWriter(FolderWriter):
    """Writes a data set of splits, as `FolderWriter` does.

    Attributes:
        manifest: The content of `manifest.json`; the counts are added.
        counts: How many impressions were written, by split.

    Example:
        with DatasetWriter(Path("data")) as writer:
            writer.write("train", batch)
            writer.manifest = {"source": "..."}
    """

    def __init__(self, out: Path, shard_size: int = SHARD_SIZE):
        super().__init__(out, shard_size)
        self.manifest: dict[str, Any] = {}
        self.counts = dict.fromkeys(SPLITS, 0)
        for split in SPLITS:
            (self._part / split).mkdir()

    def write(self, split: str, batch: pa.RecordBatch) -> None:
        """Appends the rows of `batch` to a split; its columns are made by `scalar_column` or `list_column`."""
        self._append(split, batch)
        self.counts[split] += batch.num_rows
        if split == "eval":
            self._add_to_sample("", batch)

    def _finish(self) -> None:
        self._samples.setdefault("", [])
        self._describe("", {**self.manifest, "examples": self.counts})


def split_files(data: Path, split: str) -> list[Path]:
    """Returns the files of a split, in order.

    Raises:
        DataError: The folder or the files are missing.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder: give --data the folder that holds {', '.join(f'{s}/' for s in SPLITS)}.")
    files = shard_files(data / split)
    if not files:
        raise DataError(f"{data / split} holds no TFRecord files: a data set has them in {', '.join(f'{s}/' for s in SPLITS)}.")
    return files
