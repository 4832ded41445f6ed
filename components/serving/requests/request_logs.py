"""Finds and reads the logs of requests: TFRecords of PredictionLogs, as TF Serving and the stand-in write them, and JSON lines."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from components.base.errors import DataError, InputError
from components.base.shards import hash_shard, shard_files
from components.base.tfrecord import read_blocks
from components.serving.requests.request_columns import RequestColumns
from components.serving.requests.request_rows import Row, UnreadableRequest, cleaned, rows_of

_TEXT = (".jsonl", ".json")


class Logged(NamedTuple):
    """A request of a log.

    Attributes:
        number: Its place in the file, from 1.
        rows: Its impressions; none if it has a fault.
        fault: Why no impression could be made of it; "" if there is no fault.
    """

    number: int
    rows: list[Row]
    fault: str = ""


def log_files(log: Path) -> list[Path]:
    """Returns the files of a log, which is one file or a folder of files, in the order of their names.

    Raises:
        InputError: There is no file.
    """
    files = [log] if log.is_file() else shard_files(log)
    if not files:
        raise InputError(f"{log} holds no log of requests: name a folder that din serve --log-requests, or TF Serving, has written to.")
    return files


def log_fingerprint(log: Path) -> str:
    """Returns a text that follows the content of a log.

    Raises:
        InputError: There is no file.
    """
    return hashlib.sha256("".join(hash_shard(file) for file in log_files(log)).encode()).hexdigest()[:16]


def read_log(file: Path, columns: RequestColumns) -> Iterator[Logged]:
    """Yields the requests of a file.

    The end of a TFRecord file that is still being written may be cut off: this is a request with a fault, too.

    Args:
        file: TFRecords of PredictionLogs, gzipped or not; or, where its name ends in .jsonl or .json, JSON lines of impressions.
        columns: The roles of the inputs.
    """
    if file.suffix in _TEXT:
        yield from _read_text(file, columns)
        return
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    number = 0
    try:
        for number, (record,) in enumerate(read_blocks(file, size=1), 1):  # a larger block would be lost with its end
            try:
                yield Logged(number, rows_of(PredictionLog.FromString(record), columns))
            except DecodeError:
                yield Logged(number, [], "it is no PredictionLog")
            except UnreadableRequest as error:
                yield Logged(number, [], str(error))
    except DataError as error:
        yield Logged(number + 1, [], f"what follows cannot be read: {error}")


def _read_text(file: Path, columns: RequestColumns) -> Iterator[Logged]:
    """Reads JSON lines as `din predict` takes them: an impression each, with text for bytes; `request_id` and `timestamp` may be there."""
    with open(file, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("it is not a JSON object")
                yield Logged(number, [_typed(row, columns)])
            except (ValueError, RecursionError) as error:
                yield Logged(number, [], f"it is no impression as JSON ({error})")


def _typed(row: Row, columns: RequestColumns) -> Row:
    def plain(value: object) -> object:
        if isinstance(value, dict | bool):
            raise ValueError(f"{value!r:.80} is no value of a feature")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"{value!r:.80} is beyond 64 bits")
        if isinstance(value, list):
            return [plain(one) for one in value]
        return value.encode(errors="surrogateescape") if isinstance(value, str) else value

    values = {name: plain(value) for name, value in row.items() if columns.is_read(name)}
    tags = {read.column.name for read in columns.lists() if read.column.width is None and read.column.presence != "sequence"}
    values |= {name: [value] for name, value in values.items() if name in tags and not isinstance(value, list | None)}
    return cleaned({name: value for name, value in values.items() if value is not None or not columns.is_history(name)}, columns)
