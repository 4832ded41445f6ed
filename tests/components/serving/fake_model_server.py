"""A program that answers the gate as `tensorflow_model_server` does, by Python TensorFlow. It takes the same flags."""

import base64
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceServicer, add_PredictionServiceServicer_to_server

FLAGS = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
SHIFT = float(os.environ.get("FAKE_REST_SHIFT", "0"))  # added to what REST answers


class Model:
    def __init__(self):
        folder = max(Path(FLAGS["model_base_path"]).iterdir(), key=lambda path: int(path.name))
        self._model = tf.saved_model.load(str(folder))
        for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests")):
            self.answer(PredictionLog.FromString(record.numpy()).predict_log.request)

    def types(self, signature):
        return {name: spec.dtype for name, spec in self._model.signatures[signature].structured_input_signature[1].items()}

    def run(self, signature, inputs):
        return self._model.signatures[signature](**{name: tf.constant(values) for name, values in inputs.items()})

    def answer(self, request):
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        response = PredictResponse()
        for name, values in self.run(request.model_spec.signature_name, inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return response


def decode(value):
    """Returns the value of a JSON value: bytes are text or base64."""
    if isinstance(value, list):
        return [decode(element) for element in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


class Service(PredictionServiceServicer):
    def Predict(self, request, context):
        assert request.model_spec.name == FLAGS["model_name"]
        return MODEL.answer(request)


class Rest(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer(
            {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}
        )

    def do_POST(self):
        assert self.path == f"/v1/models/{FLAGS['model_name']}:predict"
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        inputs = {}
        for name, dtype in MODEL.types(asked["signature_name"]).items():
            inputs[name] = np.array([decode(row[name]) for row in asked["instances"]], dtype.as_numpy_dtype)
        outputs = MODEL.run(asked["signature_name"], inputs)
        answers = {name: (values.numpy() + SHIFT).tolist() for name, values in outputs.items()}
        rows = [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]
        self._answer({"predictions": rows if len(answers) > 1 else answers["probability"]})

    def _answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


MODEL = Model()
assert FLAGS["port"] == "0"
server = grpc.server(ThreadPoolExecutor(2))
add_PredictionServiceServicer_to_server(Service(), server)
server.add_insecure_port(f"unix:{FLAGS['grpc_socket_path']}")
server.start()
threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", int(FLAGS["rest_api_port"])), Rest).serve_forever, daemon=True).start()
server.wait_for_termination()
