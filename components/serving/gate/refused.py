"""Why an export is not blessed, as one sentence."""

import re

from components.serving.model.model_errors import LoadError, ModelError

_SHOWN = 300  # characters of a message of TensorFlow
_CAUSES = {11: ", since a file of its variables is cut short", 15: ", since a file of its variables is damaged"}  # OUT_OF_RANGE, DATA_LOSS


class Refused(Exception):
    """The export is not blessed. The message is one sentence that names the cause."""


def not_loaded(error: LoadError) -> Refused:
    """Returns the refusal of an export that cannot be loaded."""
    return Refused(f"the export cannot be loaded{_CAUSES.get(error.code, '')}: {first_sentence(error)}.")


def first_sentence(error: ModelError) -> str:
    """Returns the first sentence of a message of TensorFlow, cut if it is long."""
    text = re.split(r"(?<=[\w)'\"])\. +(?=[A-Z(])", str(error))[0].rstrip(". ")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
