"""Works around two faults of ml-metadata 1.21 and TFX 1.21 with PostgreSQL.

* ml-metadata cannot write a text that has a backslash. It puts texts into SQL by PQescapeLiteral and cuts off the first and the last
  character, which it takes for quotes. For a text with a backslash PQescapeLiteral returns ` E'…'`, so that the SQL is wrong. Nearly every
  pipeline has such a text: JSON inside JSON. So a backslash is written as a character of Unicode's private use area, and read back.
* TFX takes the n-th event of a cached execution to be that of its n-th artifact (`cache_utils._get_outputs_of_execution`). That holds with
  SQLite, which answers in the order of the numbers. PostgreSQL answers in the order in which rows were changed last, so that the cache of a
  Trainer offered `model_run` as `model`. So answers are sorted.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata.metadata_store import metadata_store

_KEYS = {"artifacts": "id", "executions": "id", "contexts": "id", "events": "artifact_id"}
_BACKSLASH, _STAND_IN = "\\", "\ue05c"


def fix_postgresql() -> None:
    """Makes all clients of ML Metadata in this process right with PostgreSQL. A second call changes nothing."""
    call = metadata_store.MetadataStore._pywrap_cc_call
    if not hasattr(call, "__wrapped__"):
        metadata_store.MetadataStore._pywrap_cc_call = _fixed(call)


def _fixed(call: Callable[..., None]) -> Callable[..., None]:
    @wraps(call)
    def fixed(store: Any, method: Any, request: Message, response: Message) -> None:
        if not store._config.HasField("postgresql"):
            call(store, method, request, response)
            return
        sent = type(request)()
        sent.CopyFrom(request)
        _replace(sent, _BACKSLASH, _STAND_IN)
        call(store, method, sent, response)
        _replace(response, _STAND_IN, _BACKSLASH)
        _sort(response)

    return fixed


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


def _sort(response: Message) -> None:
    """Sorts artifacts, executions and contexts by number, and events by that of their artifact. Types stay as they were asked for."""
    for field, values in response.ListFields():
        if field.name in _KEYS:
            values.sort(key=lambda value, name=field.name: getattr(value, _KEYS[name]))
