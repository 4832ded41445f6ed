"""The development stand-in for TF Serving: REST and gRPC on 127.0.0.1, in this process, by Python TensorFlow.

It accepts and refuses the same requests as TF Serving, with the same status codes and the same shapes of answers; the messages are its own.
The known differences are:

* It has Predict, GetModelMetadata and GetModelStatus only: Classify and Regress refuse every signature, and there is no MultiInference, no
  reloading by request, no metrics, no CORS, no batching, and no deadline for REST.
* Requests and tensors larger than 64 MiB are refused (413, RESOURCE_EXHAUSTED).
* A tensor whose shape does not fit the signature is refused before the graph runs; TF Serving leaves that to the ops of the graph.
* Versions are loaded, and labels moved, as TF Serving does it under `din serve`: first the versions, then the labels. `Behaviour` makes it
  like a TF Serving that polls `models.config` itself, with slow and failing loads. A failed load is not tried again unless `Behaviour` says
  so, and `models.config` must name one model with all or specific versions.
* Nesting too deep for Python is a parse error, as are the numbers `Inf`, `-Inf` and `-NaN`; a path that ends with `?` counts without it.
* When it is stopped, requests that are being answered have 5 s; the official binary ends at once.
"""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.online.stand_in.endpoint import Endpoint
from pipeline.online.stand_in.grpc_server import GrpcServer
from pipeline.online.stand_in.request_log import RequestLog
from pipeline.online.stand_in.rest_server import RestServer
from pipeline.online.stand_in.version_manager import AT_ONCE, Behaviour


class StandIn:
    """Serves the versions of a folder until it is closed.

    Args:
        folder: The folder of the versions, with the `models.config` that is followed.
        rest_port: The port of REST; 0 takes a free one.
        grpc_port: The port of gRPC; 0 takes a free one.
        say: As for `Endpoint`.
        behaviour: How loads go, and how often files are read.
        now: The clock, in seconds.
        runs: Whether a thread follows the files; otherwise only `endpoint.step()` does.
        log: What logs the answered requests; it is closed with the servers.

    Attributes:
        endpoint: The versions, which both servers share.
        rest_url: The URL of the model for REST.
        grpc_url: The URL of the model for gRPC.

    Raises:
        InputError: The folder has no version that can be served.
        OSError: A port is taken.
    """

    def __init__(
        self,
        folder: Path,
        rest_port: int = 0,
        grpc_port: int = 0,
        say: Callable[[str], None] = lambda line: None,
        behaviour: Behaviour = AT_ONCE,
        now: Callable[[], float] = time.monotonic,
        runs: bool = True,
        log: RequestLog | None = None,
    ) -> None:
        self.endpoint = Endpoint(folder, say, behaviour, now, runs, log)
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
        """Finishes the requests that are being answered, for at most 5 s, and ends."""
        for server in self._servers:
            server.stop()
        for server in self._servers:
            server.close()
        self.endpoint.close()
        if self.endpoint.log:
            self.endpoint.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
