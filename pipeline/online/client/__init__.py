"""The client of a served model: `from pipeline.online.client import Client`. Over REST it imports neither TensorFlow nor TFX."""

from pipeline.online.client.client import Client
from pipeline.online.client.serving_errors import InvalidRequest, NotFound, ServingError, Timeout, Unavailable

__all__ = ["Client", "InvalidRequest", "NotFound", "ServingError", "Timeout", "Unavailable"]
