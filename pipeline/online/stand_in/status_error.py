"""The error with which the stand-in refuses a request: TF Serving's status code, and a short message of the stand-in's own."""

from grpc import StatusCode


class StatusError(Exception):
    """A refused request.

    Attributes:
        code: The canonical status code, the same that TF Serving gives.
        message: The reason, in one line.
    """

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> StatusError:
    """Returns the refusal of a request that is itself wrong."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)
