"""Reads from an exported model, without TensorFlow, which features it was trained with."""

import json
from pathlib import Path

from pydantic import ValidationError

from components.base.errors import InputError
from din_trainer.config import ORIGIN_FILE, DINConfig
from din_trainer.features import FeatureConfig


def read_features(model: Path) -> FeatureConfig:
    """Returns the features that a SavedModel of this pipeline reads.

    Raises:
        InputError: The folder does not hold such a model.
    """
    if not (model / "saved_model.pb").is_file():
        raise InputError(f"{model} holds no saved_model.pb: name a version folder, such as workspace/serving/demo/<version>.")
    try:
        origin = json.loads((model / ORIGIN_FILE).read_text())
        return DINConfig.model_validate(origin["config"]).features
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        raise InputError(
            f"{model / ORIGIN_FILE} cannot be read: the model was not exported by this pipeline, or by another version."
        ) from error
