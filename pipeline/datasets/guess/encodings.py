"""Guesses the encoding of a text from its first bytes, by trying the likely ones."""

import codecs
from typing import NamedTuple

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OTHERS = "cp1251, shift_jis, euc-kr, big5"
_PLACES = slice(0, 2000)  # bytes at which UTF-16 shows
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r\x01\x02\x03"})  # the last three separate values in files of Hive


class Encoding(NamedTuple):
    """An encoding by its name in Python, and why."""

    name: str
    reason: str


def guess_encoding(head: bytes) -> Encoding | None:
    """Returns the encoding of a text; None where the bytes are no text.

    Args:
        head: The first bytes, which may end within a character.
    """
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return Encoding(name, "the file begins with its byte order mark")
    if b"\0" in head and (found := _utf_16(head[_PLACES])):
        return found
    if len(head) - len(head.translate(None, _CONTROLS)) > len(head) / 100:
        return None
    if _decodes(head, "utf-8"):
        return Encoding("utf-8", "all bytes are UTF-8")
    if _decodes(head, "gb18030") and _is_chinese(head):
        return Encoding("gb18030", "the bytes are not UTF-8, but frequent Chinese characters in GBK or GB18030")
    name = "cp1252" if head.translate(None, bytes(range(0x80, 0xA0))) != head and _decodes(head, "cp1252") else "latin-1"
    return Encoding(name, f"the bytes are not UTF-8; the examples below show whether the text is right; others are {_OTHERS}")


def _utf_16(head: bytes) -> Encoding | None:
    """UTF-16 without a mark has a zero byte in every second place where the text is mostly ASCII."""
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[start::2].count(0) > 0.8 * len(head[start::2]) and not head[1 - start :: 2].count(0):
            return Encoding(name, "every second byte is zero")
    return None


def _decodes(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _is_chinese(head: bytes) -> bool:
    """Whether nearly all characters that are not ASCII are among the 3,755 most frequent of GB2312, or its punctuation."""
    text = codecs.getincrementaldecoder("gb18030")().decode(head)
    others = [character.encode("gb18030") for character in text if character > "\x7f"]
    frequent = [code for code in others if len(code) == 2 and (0xB0 <= code[0] <= 0xD7 or 0xA1 <= code[0] <= 0xA3) and code[1] >= 0xA1]
    return len(frequent) > 0.9 * len(others)
