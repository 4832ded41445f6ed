"""Works around a fault of ml-metadata 1.21: with PostgreSQL it cannot write a text that has a backslash.

It puts texts into SQL by PQescapeLiteral and cuts off the first and the last character, which it takes for quotes. For a text with a
backslash PQescapeLiteral returns ` E'…'`, so that the SQL is wrong. Nearly every pipeline has such a text: JSON inside JSON. So a backslash
is written as a character of Unicode's private use area, and read back as a backslash.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata.metadata_store import metadata_store

_BACKSLASH, _STAND_IN = "\\", "\ue05c"


def write_backslashes() -> None:
    """Makes all clients of ML Metadata in this process write backslashes to PostgreSQL. A second call changes nothing."""
    call = metadata_store.MetadataStore._pywrap_cc_call
    if not hasattr(call, "__wrapped__"):
        metadata_store.MetadataStore._pywrap_cc_call = _translated(call)


def _translated(call: Callable[..., None]) -> Callable[..., None]:
    @wraps(call)
    def translated(store: Any, method: Any, request: Message, response: Message) -> None:
        if not store._config.HasField("postgresql"):
            call(store, method, request, response)
            return
        sent = type(request)()
        sent.CopyFrom(request)
        _replace(sent, _BACKSLASH, _STAND_IN)
        call(store, method, sent, response)
        _replace(response, _STAND_IN, _BACKSLASH)

    return translated


def _replace(message: Message, old: str, new: str) -> None:
    """Replaces a character in all texts of a message, in place."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            if isinstance(value, str):
                setattr(message, field.name, value.replace(old, new))
            else:
                value[:] = [text.replace(old, new) for text in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            is_map = field.message_type.GetOptions().map_entry
            parts = value.values() if is_map else [value] if isinstance(value, Message) else value
            for part in parts:
                if isinstance(part, Message):
                    _replace(part, old, new)
