"""Times calls of an ONNX model in ONNX Runtime.

Arguments: the model, a file of requests (`harness.read_requests`) and the size of ONNX Runtime's thread pools.
"""

import sys
from collections.abc import Callable
from functools import partial

from harness import read_requests, serve_calls


def build() -> tuple[str, dict[str, Callable[[], object]]]:
    """Loads the model. Returns ONNX Runtime's version and the calls by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = int(sys.argv[3])
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    requests = read_requests(sys.argv[2])
    return onnxruntime.__version__, {name: partial(session.run, None, inputs) for name, (_, inputs) in requests.items()}


if __name__ == "__main__":
    serve_calls(build)
