"""The client's connection over REST, without TensorFlow.

httpcore keeps the connections. It follows no redirects, and it lets the whole request have one bound (`deadline.py`), which neither
requests nor httpx can.
"""

import base64
import json
import os
from collections.abc import Sequence
from time import sleep
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import numpy as np

from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.impression_tensors import Tensors, json_inputs
from pipeline.online.client.checked_scores import checked_scores
from pipeline.online.client.connection import MAX_ANSWER_BYTES, RETRY_SECONDS, Connection, Signature, Tensor, one_line
from pipeline.online.client.deadline import Deadline, DeadlineBackend
from pipeline.online.client.model_url import ModelUrl
from pipeline.online.client.proxies import http_proxy
from pipeline.online.client.serving_errors import InvalidRequest, NotFound, ServingError, Timeout, Unavailable

_ERRORS: dict[int, type[ServingError]] = {
    400: InvalidRequest,
    404: NotFound,
    408: Timeout,
    413: InvalidRequest,
    429: Unavailable,
    503: Unavailable,
    504: Timeout,
}


class _Answer:
    """An HTTP answer whose body is complete."""

    def __init__(self, response: httpcore.Response, body: bytes) -> None:
        self.status = response.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        self.text = body.decode(errors="replace") or response.extensions.get("reason_phrase", b"").decode("latin-1") or "nothing"
        kind = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        try:
            document = json.loads(body) if kind == "application/json" else None
        except (ValueError, RecursionError):
            document = None
        self.document: dict[str, Any] = document if isinstance(document, dict) else {}


class RestConnection(Connection):
    """A served model that is asked over REST."""

    def __init__(self, model: ModelUrl, timeout: float, retries: int) -> None:
        which = f"/versions/{model.version}" if model.version else f"/labels/{model.label}" if model.label else ""
        self._shown, self._timeout, self._retries = model.url, timeout, retries
        self._url = f"{model.rest}/v1/models/{model.name}{which}"
        parts = urlsplit(self._url)
        self._headers: dict[str | bytes, str | bytes] = {"Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json"}
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        self._proxy = http_proxy(self._url)
        self._through = f" through the proxy {urlsplit(self._proxy).netloc.rpartition('@')[2]} of the environment" if self._proxy else ""
        self._deadline = Deadline()
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._pool = httpcore.ConnectionPool(
            proxy=httpcore.Proxy(self._proxy) if self._proxy else None,
            max_connections=None,  # one for each thread
            network_backend=DeadlineBackend(self._deadline),
        )

    def _ask(self, method: str, path: str, body: Any = None) -> _Answer:
        """Returns the answer 200 to a request. It is sent again if there was no answer, or 429 or 503, since requests change nothing."""
        if self._process != os.getpid():
            self._open()  # a forked process must not read the answers of its parent
        content = None if body is None else json.dumps(body).encode()  # may hold NaN, which TF Serving reads
        self._deadline.start(self._timeout)
        for attempt in range(self._retries + 1):
            try:
                answer = self._once(method, path, content)
                if answer.status == 200:
                    return answer
                failure = self._refusal(answer)
                if answer.status not in (429, 503):
                    break
            except httpcore.TimeoutException as error:
                raise Timeout(f"{self._shown} gave no answer within {self._timeout:g} s.") from error
            except httpcore.ConnectError as error:
                failure = Unavailable(f"{self._shown} cannot be reached{self._through} ({one_line(error)}): is a server running there?")
            except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
                failure = Unavailable(f"{self._shown} gave no complete HTTP answer ({one_line(error)}): is it TF Serving's port for REST?")
            pause = RETRY_SECONDS * 2**attempt
            if attempt == self._retries or pause >= self._deadline.left():
                break
            sleep(pause)
        raise failure

    def _once(self, method: str, path: str, content: bytes | None) -> _Answer:
        with self._pool.stream(method, self._url + path, headers=self._headers, content=content) as response:
            body = bytearray()
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ServingError(f"{self._shown} gave an answer of more than {MAX_ANSWER_BYTES >> 20} MiB: ask for fewer at once.")
        return _Answer(response, bytes(body))

    def _refusal(self, answer: _Answer) -> ServingError:
        kind = _ERRORS.get(answer.status, ServingError)
        if 300 <= answer.status < 400 and "location" in answer.headers:
            where = one_line(answer.headers["location"])
            return kind(f"{self._shown} answered {answer.status}, a redirect to {where}, which is not followed: give the server's own URL.")
        return kind(f"{self._shown} answered {answer.status}: {one_line(answer.document.get('error') or answer.text)}")

    def signatures(self) -> dict[str, Signature]:
        answer = self._ask("GET", "/metadata")
        try:
            found = answer.document["metadata"]["signature_def"]["signature_def"]
            return {name: Signature(_tensors(signature["inputs"]), _tensors(signature["outputs"])) for name, signature in found.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ServingError(
                f"{self._shown} answered 200: {one_line(answer.text)}, but signatures are needed: is it TF Serving?"
            ) from error

    def run(
        self, signature: str, tensors: Tensors, outputs: Sequence[str], shape: tuple[int, ...], request_id: bytes = b""
    ) -> dict[str, np.ndarray]:
        answer = self._ask("POST", ":predict", {"signature_name": signature, "inputs": json_inputs(tensors)})
        found = answer.document.get("outputs")
        values = found if isinstance(found, dict) else {PROBABILITY: found}  # a server does not name the only output of a model
        return {name: checked_scores(values.get(name), shape, self._shown, f"200: {answer.text}") for name in outputs}

    def close(self) -> None:
        self._pool.close()


def _tensors(infos: Any) -> dict[str, Tensor]:
    dims = {key: info["tensor_shape"]["dim"] for key, info in infos.items()}
    return {
        key: Tensor(str(infos[key]["dtype"]), tuple(int(dim["size"]) for dim in found), tuple(str(dim.get("name", "")) for dim in found))
        for key, found in dims.items()
    }
