"""The bytes of a text file as UTF-8, block by block: unpacked by content, without a byte order mark, and with LF in each line end."""

import codecs
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path

import pyarrow as pa

from components.base.errors import InputError

BLOCK = 2**22  # bytes
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {
    b"PK\x03\x04": "is a zip archive, or a table of Excel: unpack it, or save it as CSV",
    b"\xfd7zXZ": "is packed with xz: unpack it",
    b"7z\xbc\xaf": "is a 7z archive: unpack it",
    b"PAR1": 'is Parquet, not text: let its name end in .parquet, or, of a click log, set files.format = "parquet" in the mapping',
}
_UTF_8 = ("utf-8", "utf-8-sig")


def check_file(path: Path) -> None:
    """Checks that a path is a file that can be read more than once.

    Raises:
        InputError: It is missing, a folder, a pipe or a device.
    """
    if not path.exists():
        raise InputError(f"{path} is missing: name the file or folder that holds the data.")
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'a pipe or a device'}, not a file: name a file.")


def read_blocks(path: Path, encoding: str = "utf-8") -> Iterator[bytes]:
    """Yields the text as UTF-8. Where it claims to be UTF-8, bytes that are not text are left as they are.

    Raises:
        InputError: The file is missing, damaged or not a text, or its bytes are not text in this encoding.
    """
    check_file(path)
    try:
        with open(path, "rb") as file:
            blocks = _unpacked(path, file)
            yield from _with_line_feeds(_checked(path, blocks) if encoding in _UTF_8 else _decoded(path, blocks, encoding))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read ({error}): download it again.") from error


def _unpacked(path: Path, file: BufferedReader) -> Iterator[bytes]:
    head = file.peek(8)
    for magic, refusal in _REFUSED.items():
        if head.startswith(magic):
            raise InputError(f"{path} {refusal}.")
    packing = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    with pa.input_stream(file, compression=packing) as stream:
        while block := stream.read(BLOCK):
            yield block


def _checked(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields text of UTF-8 without its byte order mark, after a look at its first bytes."""
    first = next(blocks, b"")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in first[:2]:
        raise InputError(
            f'{path} looks like UTF-16: convert it to UTF-8 (or, of a click log, set files.encoding = "utf-16" in the mapping).'
        )
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from blocks


def _decoded(path: Path, blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yields text of another encoding as UTF-8."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    for block, is_last in chain(((block, False) for block in blocks), ((b"", True),)):
        try:
            text = decoder.decode(block, is_last).removeprefix("\ufeff" if line == 1 else "")
        except UnicodeError as error:
            raise InputError(f"{path} cannot be read as {encoding} ({_where(error, line)}): set files.encoding in the mapping.") from error
        line += text.count("\n")
        yield text.encode(errors="surrogatepass")


def _where(error: UnicodeError, line: int) -> str:
    """Says where the bytes are that are not text; `line` is the line in which their block begins."""
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    before = error.object[: error.start].decode(error.encoding, "replace").split("\n")
    found = error.object[error.start : error.end]
    return f"line {line + len(before) - 1}, character {len(before[-1]) + 1}: {found!r} is not text: {error.reason}"


def _with_line_feeds(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the text with LF for CR, where all line ends are CR."""
    first = next(blocks, b"")
    if b"\r" in first and b"\n" not in first.removesuffix(b"\r"):
        blocks = (block.replace(b"\r", b"\n") for block in chain((first,), blocks))
    else:
        blocks = chain((first,), blocks)
    yield from blocks
