"""An executor for TFX's Pusher whose push is atomic and never pushes the same weights twice: `Pusher(custom_executor_spec=…)`."""

import json
import time
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx.components.pusher import executor as pusher
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import json_utils

from components.base.tfx_pins import mark_not_pushed, mark_pushed
from components.serving.servers.asked_server import GrpcServer
from components.serving.servers.waiting import PushRefused, Servers
from components.serving.store.models_config import WAIT_SECONDS
from components.serving.store.publication import NotPublished, publish
from components.serving.store.push import push
from components.serving.store.versions import WARM_UP_FILE

# in custom_config: as JSON the arguments of `push` (keep, push_to, base_path, store, pinned, replaces), and of `Servers` (poll_seconds,
# wait_seconds, and the URLs of `servers`)
SETTINGS_KEY = "serving"
UNCHANGED_KEY = "unchanged"  # custom property of the PushedModel: whether the same weights were served already
REFUSED_KEY = "refused_because"  # custom property of the PushedModel: why a blessed model was not pushed
NOT_PUBLISHED_KEY = "not_published"  # custom property of the PushedModel: why the store does not have what is served, in a sentence
NOT_CHECKED_KEY = "not_checked"  # custom property of the PushedModel: what no server was asked, in a sentence


class Executor(pusher.Executor):
    """TFX's executor with its checks of the blessings, but with `push` instead of its file-by-file copy.

    The warm-up requests are those in the folder of the InfraBlessing, if the node has one and they are there.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            mark_not_pushed(self, pushed)
            return
        destination = json_format.Parse(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], pusher_pb2.PushDestination())
        base = Path(destination.filesystem.base_directory)
        settings = _settings(exec_properties)
        told: list[str] = []
        servers = Servers(
            [GrpcServer(url, base.name) for url in settings.pop("servers", ())],
            settings.pop("poll_seconds", 0),
            settings.pop("wait_seconds", WAIT_SECONDS),
            say=told.append,
        )
        try:
            result = push(Path(self.GetModelPath(input_dict)), base, warm_up=_warm_up(input_dict), servers=servers, **settings)
        except PushRefused as error:
            mark_not_pushed(self, pushed)
            pushed.set_string_custom_property(REFUSED_KEY, str(error))
            return
        mark_pushed(self, pushed, str(base / str(result.version)), result.version)
        pushed.set_int_custom_property(UNCHANGED_KEY, int(result.unchanged))
        pushed.set_string_custom_property(NOT_CHECKED_KEY, " ".join(told))
        try:
            publish(base, time.time())
        except NotPublished as error:  # the push stands: the workspace is the place of truth
            pushed.set_string_custom_property(NOT_PUBLISHED_KEY, str(error))


def _settings(exec_properties: dict[str, Any]) -> dict[str, Any]:
    custom = json_utils.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null") or {}
    return {**json.loads(custom.get(SETTINGS_KEY, "{}")), "run_id": custom.get("run_id")}


def _warm_up(input_dict: dict[str, Any]) -> Path | None:
    artifacts = input_dict.get(standard_component_specs.INFRA_BLESSING_KEY)
    if not artifacts:
        return None
    file = Path(artifact_utils.get_single_instance(artifacts).uri) / Path(WARM_UP_FILE).name
    return file if file.is_file() else None
