"""What a model or the process that holds it can do wrong. Each message is one line."""

import re


class ModelError(Exception):
    """A model, or the process that holds it, failed."""


class LoadError(ModelError):
    """The SavedModel cannot be loaded.

    Attributes:
        code: TensorFlow's status code, which is gRPC's; 0 if the files could not even be read.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RunError(ModelError):
    """A request failed.

    Attributes:
        code: TensorFlow's status code, which is gRPC's.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Crashed(ModelError):
    """The process died, or it was killed because it did not answer in time."""


def one_line(message: str) -> str:
    """Returns TensorFlow's message in one line, without the list of graph nodes; of several errors only the first."""
    message = re.sub(r"^.*root error\(s\) found\.\s*\(0\) (?:[A-Z_]+: )?", "", message.strip(), flags=re.DOTALL)
    return " ".join(re.split(r"\s*(?:\[\[|used by )\{\{(?:function_)?node|\n\s*\(1\) ", message)[0].split())
