"""Served versions as small as a run's start reads them."""

import json
from pathlib import Path

from components.serving.store.models_config import ServedModel, write_models_config
from din_trainer.config import DINConfig


def serve(workspace: Path, version: int) -> Path:
    """Makes a version folder with the files that `link_baseline` reads."""
    folder = workspace / "serving" / "default" / str(version)
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    origin = {"config": DINConfig().model_dump(mode="json"), "source": "0"}
    (folder / "assets.extra" / "din.json").write_text(json.dumps(origin))
    return folder


def label(workspace: Path, stable: int, canary: int) -> None:
    """Writes `models.config`."""
    write_models_config(workspace / "serving" / "default", ServedModel("default", "/models", {"canary": canary, "stable": stable}))
