"""The development stand-in for TF Serving: REST and gRPC on 127.0.0.1, in this process, by Python TensorFlow.

It takes and refuses what TF Serving does, with its status codes and, for the most part, its words. Where it knowingly differs:

* It has Predict, GetModelMetadata and GetModelStatus alone; no Classify, Regress or MultiInference, no reloading by request, no metrics,
  no CORS, no batching, no deadline for REST.
* Requests and tensors beyond 64 MiB are refused (413, RESOURCE_EXHAUSTED).
* A tensor whose shape does not fit the signature is refused before the graph is run; TF Serving leaves that to the graph's ops.
* Versions are loaded when they have a label; TF Serving loads those that `specific` names without one too.
* A label moves when its new version is loaded; TF Serving refuses a configuration that moves a label in use to a version which it has not
  loaded yet. A version that fails to load is tried again when the configuration changes, not by itself.
* Of a key that stands twice in a JSON object the last one counts, not the first; nesting beyond what Python reads is a parse error.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.online.stand_in.endpoint import Endpoint
from pipeline.online.stand_in.grpc_server import GrpcServer
from pipeline.online.stand_in.rest_server import RestServer


class StandIn:
    """Serves the versions of a folder until it is closed.

    Args:
        folder: Versions and their `models.config`, which is followed.
        rest_port: 0 takes a free one.
        grpc_port: 0 takes a free one.
        say: Is told in a line each what was loaded, dropped, or could not be.

    Attributes:
        endpoint: What both sides answer from.
        rest_url: Of the model, for REST.
        grpc_url: Of the model, for gRPC.

    Raises:
        InputError: Nothing there can be served.
        OSError: A port is taken.
    """

    def __init__(self, folder: Path, rest_port: int = 0, grpc_port: int = 0, say: Callable[[str], None] = lambda line: None) -> None:
        self.endpoint = Endpoint(folder, say)
        self._servers: list[RestServer | GrpcServer] = []
        try:
            rest = RestServer(self.endpoint, rest_port)
            self._servers.append(rest)
            grpc = GrpcServer(self.endpoint, grpc_port)
            self._servers.append(grpc)
        except OSError:
            self.close()
            raise
        self.rest_url = f"http://127.0.0.1:{rest.port}/v1/models/{self.endpoint.name}"
        self.grpc_url = f"grpc://127.0.0.1:{grpc.port}/{self.endpoint.name}"

    def close(self) -> None:
        """Answers what is under way, for 5 s at most, and ends."""
        for server in self._servers:
            server.close()
        self.endpoint.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
