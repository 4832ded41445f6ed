"""The client's connection over REST, without TensorFlow."""

import json
import re
from typing import Any

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from components.evaluation.metrics.catalogue import PROBABILITY
from components.serving.model.impression_tensors import Tensors, json_inputs
from pipeline.online.client.connection import RETRY_SECONDS, Connection, SignatureInputs, one_line
from pipeline.online.client.model_url import ModelUrl
from pipeline.online.client.serving_errors import InvalidRequest, NotFound, ServingError, Timeout, Unavailable

_RETRIED = (429, 503)
_ERRORS: dict[int, type[ServingError]] = {
    400: InvalidRequest,
    404: NotFound,
    408: Timeout,
    413: InvalidRequest,
    429: Unavailable,
    503: Unavailable,
    504: Timeout,
}


class RestConnection(Connection):
    """A served model that is asked over REST."""

    def __init__(self, model: ModelUrl, timeout: float, retries: int) -> None:
        which = f"/versions/{model.version}" if model.version else f"/labels/{model.label}" if model.label else ""
        self._shown = model.url
        self._url = f"{model.rest}/v1/models/{model.name}{which}"
        self._timeout = timeout
        retry = Retry(
            total=retries,
            read=False,  # the server may still work on what was sent
            other=0,
            redirect=0,
            status_forcelist=_RETRIED,
            allowed_methods=None,  # POST too, since predictions change nothing
            backoff_factor=RETRY_SECONDS,
            raise_on_status=False,
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def _ask(self, method: str, path: str, wanted: str, body: Any = None) -> Any:
        """Returns the value of the key `wanted` in the answer."""
        data = None if body is None else json.dumps(body).encode()  # may hold NaN, which TF Serving reads
        try:
            response = self._session.request(
                method, self._url + path, data=data, headers={"Content-Type": "application/json"}, timeout=self._timeout
            )
        except requests.ReadTimeout as error:
            raise Timeout(f"{self._shown} gave no answer within {self._timeout:g} s.") from error
        except requests.RequestException as error:
            raise Unavailable(f"{self._shown} cannot be reached ({_reason(error)}): is a server running there?") from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code == 200 and isinstance(answer, dict) and wanted in answer:
            return answer[wanted]
        told = answer.get("error") if isinstance(answer, dict) else None
        kind = _ERRORS.get(response.status_code, ServingError)
        raise kind(f"{self._shown} answered {response.status_code}: {one_line(told or response.text or response.reason)}")

    def signatures(self) -> dict[str, SignatureInputs]:
        found = self._ask("GET", "/metadata", "metadata")
        try:
            return {
                name: {key: (info["dtype"], len(info["tensor_shape"]["dim"])) for key, info in signature["inputs"].items()}
                for name, signature in found["signature_def"]["signature_def"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ServingError(f"{self._shown} answered metadata without signatures: is it TF Serving?") from error

    def run(self, signature: str, tensors: Tensors) -> np.ndarray:
        outputs = self._ask("POST", ":predict", "outputs", {"signature_name": signature, "inputs": json_inputs(tensors)})
        try:
            return np.array(outputs[PROBABILITY] if isinstance(outputs, dict) else outputs, np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ServingError(f"{self._shown} answered without probabilities: does it serve a model of this pipeline?") from error

    def close(self) -> None:
        self._session.close()


def _reason(error: BaseException) -> str:
    """Returns the innermost cause that the library gives, without the addresses of objects."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return re.sub(r"<[^>]*>:?\s*|^\w+\(.*?\): ", "", one_line(reason))
