"""TFX's Pusher with a push that is atomic and never repeats: an executor for `Pusher(custom_executor_spec=…)`."""

import hashlib
import shutil
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.tools import saved_model_utils  # reads signatures without loading the graph
from tfx.components.pusher import executor as pusher
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs

UNCHANGED_KEY = "unchanged"  # custom property of the PushedModel: these very weights were served already
_ASIDE = ".pushing-"


def served_versions(base: Path) -> list[int]:
    """Version numbers below a model's serving folder, in order, as TF Serving counts them."""
    return sorted(int(path.name) for path in base.iterdir() if path.is_dir() and path.name.isdigit()) if base.is_dir() else []


def model_digest(saved_model: Path) -> str:
    """SHA-256 over a SavedModel's weights, assets (extra ones too) and signatures: what it answers, not when it was written.

    Weights enter in the order of their contents, because Keras numbers them anew in each export. The graph does not enter, because its
    names change from export to export: whoever trains writes what the graph follows from into `assets.extra/`.
    """
    digest = hashlib.sha256()
    checkpoint = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    names = [name for name in checkpoint.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    for weight in sorted(_tensor_digest(checkpoint.get_tensor(name)) for name in names):
        digest.update(weight)
    for asset in sorted([*saved_model.glob("assets/*"), *saved_model.glob("assets.extra/*")]):
        digest.update(asset.name.encode())
        digest.update(asset.read_bytes())
    for name, signature in sorted(saved_model_utils.get_meta_graph_def(str(saved_model), "serve").signature_def.items()):
        tensors = [sorted((key, info.dtype) for key, info in side.items()) for side in (signature.inputs, signature.outputs)]
        digest.update(f"{name} {tensors}".encode())
    return digest.hexdigest()


def _tensor_digest(tensor: Any) -> bytes:
    return hashlib.sha256(f"{tensor.shape} {tensor.dtype}".encode() + tensor.tobytes()).digest()


def push(saved_model: Path, base: Path) -> tuple[int, bool]:
    """Copies a SavedModel to `base/<version>/`, whole or not at all.

    The copy is made beside the versions under a name that TF Serving skips, then renamed. Versions are unix seconds and always grow.

    Returns:
        The version, and whether it is new; the last version is kept if it answers the same.

    Raises:
        OSError: The copy failed, on a full disk for instance; nothing of it remains.
    """
    base.mkdir(parents=True, exist_ok=True)
    for leftover in base.glob(f"{_ASIDE}*"):  # of a push that was killed
        shutil.rmtree(leftover)
    last = max(served_versions(base), default=0)
    if last and model_digest(base / str(last)) == model_digest(saved_model):
        return last, False
    version = max(int(time.time()), last + 1)
    aside = base / f"{_ASIDE}{version}"
    try:
        shutil.copytree(saved_model, aside)
        aside.rename(base / str(version))
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return version, True


class Executor(pusher.Executor):
    """TFX's pusher executor, blessing checks included, with `push` in place of its file-by-file copy."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = json_format.Parse(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination())
        base = Path(destination.filesystem.base_directory)
        version, new = push(Path(self.GetModelPath(input_dict)), base)
        self._MarkPushed(pushed, pushed_destination=str(base / str(version)), pushed_version=str(version))
        pushed.set_int_custom_property(UNCHANGED_KEY, int(not new))
