"""Reads a text line by line, with the number of each line, for formats that are no tables."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.tables.record_splitter import read_records


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line that is not blank; the file may be packed by gzip, bz2 or zstd.

    Bytes that are not text in UTF-8 become lone surrogates.

    Raises:
        InputError: The file cannot be read, or has a line of more than `record_splitter.RECORD_LIMIT` bytes.
    """
    for records in read_records(path, encoding):
        begin = 0
        for number, end in zip(records.lines.tolist(), records.ends.tolist(), strict=True):
            if line := records.text[begin:end].rstrip(b"\r\n"):
                yield number, line.decode(errors="surrogateescape")
            begin = end
