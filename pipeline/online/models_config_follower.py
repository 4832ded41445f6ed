"""Hands the changes of `models.config` to a running TF Serving.

A running TF Serving refuses a configuration that moves a label in use to a version that is not loaded yet; and if it polls a file, it
refuses the file for ever (server_core.cc, UpdateModelVersionLabelMap). So each change is sent over gRPC in two steps: first the new
versions are added to those that are served, and once they are available, the labels move.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG, ServedModel, read_models_config
from pipeline.online.asked_versions import read_asked

_CALL_SECONDS = 60.0


def server_config(served: ServedModel, folder: Path, also: Iterable[int] = ()) -> Any:
    """Returns the ModelServerConfig of a TF Serving that sees the versions in `folder`, whatever their `base_path` says.

    Args:
        served: The versions with labels.
        folder: The folder of the versions.
        also: Further versions that are loaded, without a label.
    """
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=served.name, base_path=str(folder), model_platform="tensorflow")
    model.model_version_policy.specific.versions.extend(sorted({*served.labels.values(), *also}))
    model.version_labels.update(served.labels)
    return config


class Follower:
    """Hands the changes of `models.config` to a running TF Serving, one step at each call of `follow`.

    Args:
        folder: The folder of the versions, with their `models.config`.
        served: What the server was started with.
        address: HOST:PORT of its gRPC server.
        say: Called with one line for each change that was made, or could not be made.
    """

    def __init__(self, folder: Path, served: ServedModel, address: str, say: Callable[[str], None]) -> None:
        import grpc
        from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

        self._folder, self._served, self._say = folder, served, say
        self._seen = served  # the last content of the file
        self._also: frozenset[int] = frozenset()  # the versions that are loaded whether or not they have a label
        self._pending: ServedModel | None = None  # what waits for its versions to be loaded
        self._told = ""  # the last error of the file
        self._stub = ModelServiceStub(
            grpc.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", 1000), ("grpc.enable_http_proxy", 0)])
        )

    def is_ready(self) -> bool:
        """Returns whether all versions are available."""
        missing, _ = self._missing(self._served.labels)
        return not missing

    def follow(self) -> None:
        """Takes the next step towards what the file says. It must be called repeatedly."""
        import grpc

        try:
            asked, also = self._asked()
            changed = (asked, also) != (self._seen, self._also)
            if changed:
                self._seen = self._pending = asked
                self._also = also
                self._reload(self._served, *asked.labels.values())
            if self._pending:
                missing, failed = self._missing(self._pending.labels)
                if not missing:
                    self._reload(self._pending)
                    if self._pending.labels != self._served.labels:
                        self._say("served now: " + ", ".join(f"{label} {version}" for label, version in self._pending.labels.items()))
                    self._served, self._pending = self._pending, None
                elif failed and not changed:  # right after a change, the states may be those of an earlier attempt
                    self._pending = None
                    self._reload(self._served)
                    self._say(f"TF Serving cannot load {', '.join(map(str, failed))}: it keeps serving the same versions.")
        except grpc.RpcError as error:
            self._pending = None
            self._say(f"TF Serving refuses the new {MODELS_CONFIG} ({error.details()}): it keeps serving the same versions.")

    def _asked(self) -> tuple[ServedModel, frozenset[int]]:
        """Returns what the file says, with all versions to load, or what it said before if it cannot be read now."""
        try:
            asked, also = read_models_config(self._folder), read_asked(self._folder).versions()
        except (InputError, OSError) as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(self._told)
            return self._seen, self._also
        self._told = ""
        return asked or self._seen, also

    def _missing(self, labels: Mapping[str, int]) -> tuple[list[int], list[int]]:
        """Returns the versions that are not available, and those among them that failed to load."""
        import grpc
        from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus

        request = GetModelStatusRequest()
        request.model_spec.name = self._served.name
        try:
            statuses = self._stub.GetModelStatus(request, timeout=_CALL_SECONDS).model_version_status
        except grpc.RpcError:
            statuses = []
        found = {status.version: status for status in statuses}
        available = {version for version, status in found.items() if status.state == ModelVersionStatus.AVAILABLE}
        missing = sorted(set(labels.values()) - available)
        failed = [version for version in missing if version in found and found[version].status.error_code]
        return missing, failed

    def _reload(self, served: ServedModel, *also: int) -> None:
        from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

        config = server_config(served, self._folder, [*also, *self._also])
        self._stub.HandleReloadConfigRequest(ReloadConfigRequest(config=config), timeout=_CALL_SECONDS)
