"""The exceptions of the client. The message is one sentence that names the address."""


class ServingError(Exception):
    """A model server gave no usable answer."""


class Unavailable(ServingError):
    """The server cannot be reached, or is overloaded, after all retries."""


class Timeout(ServingError):
    """The server took too long."""


class InvalidRequest(ServingError):
    """The server refused the request as wrong. TF Serving answers this for an unknown label, too."""


class NotFound(ServingError):
    """The server does not serve this model or version."""
