"""Served versions as small as a run's start reads them."""

import json
from pathlib import Path

from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from components.serving.store.models_config import ServedModel, write_models_config
from din_trainer.config import DINConfig


def serve(workspace: Path, version: int) -> Path:
    """Makes a version folder with the files that `link_baseline` reads."""
    folder = workspace / "serving" / "default" / str(version)
    (folder / "assets.extra").mkdir(parents=True)
    graph = meta_graph_pb2.MetaGraphDef(meta_info_def={"tags": ["serve"]})
    (folder / "saved_model.pb").write_bytes(saved_model_pb2.SavedModel(meta_graphs=[graph]).SerializeToString())
    origin = {"config": DINConfig().model_dump(mode="json"), "source": "0"}
    (folder / "assets.extra" / "din.json").write_text(json.dumps(origin))
    return folder


def label(workspace: Path, stable: int, canary: int) -> None:
    """Writes `models.config`."""
    write_models_config(workspace / "serving" / "default", ServedModel("default", "/models", {"canary": canary, "stable": stable}))
