"""Reads the JSON body of a REST request as TF Serving's parser does, RapidJSON 1.1.0 with the flags of json_tensor.cc."""

import json
import math
import re
from typing import Any

from pipeline.online.stand_in.status_error import invalid

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PAIR, _LOW, _HIGH = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", r"u[dD][c-fC-F][0-9a-fA-F]{2}", r"u[dD][89abAB]"
_ESCAPE = re.compile(rf"\\(?:{_PAIR}|(?P<low>{_LOW})|(?P<high>{_HIGH})|.)", re.DOTALL)


def parse(body: bytes) -> dict[str, Any]:
    """Reads the JSON object of a request. NaN and infinities are accepted, and what follows the object is ignored, as in TF Serving.

    Raises:
        StatusError: The body is not a JSON object, or `signature_name` is not a string.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").lstrip(" \t\r\n")
    try:
        document, _ = _DECODER.raw_decode(_ESCAPE.sub(_escaped, text) if _SURROGATE.search(text) else text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise invalid("the body is not a JSON object")
    if not isinstance(document.get("signature_name", ""), str):
        raise invalid("'signature_name' is not a string")
    return document


def _escaped(escape: re.Match[str]) -> str:
    """Returns an escape as it is read: half a surrogate pair is refused if it is the first, and is three bytes if it is the second."""
    if escape["high"]:
        raise ValueError("half a surrogate pair")
    if escape["low"]:
        return chr(int(escape["low"][1:], 16)).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    return escape[0]


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _int(digits: str) -> int | float:
    """Whole numbers beyond 64 bits are floats."""
    value = int(digits) if len(digits) <= 20 else _float(digits)
    return value if -(1 << 63) <= value < 1 << 64 else float(value)


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """If an object has the same key twice, the first one counts."""
    return dict(reversed(pairs))


_DECODER = json.JSONDecoder(parse_float=_float, parse_int=_int, object_pairs_hook=_first)
