"""An ONNX model called by ONNX Runtime.

Called with the model, a pickle of {name: {input: array}} and the size of ONNX Runtime's thread pools.
"""

import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness import serve_calls


def build() -> tuple[str, dict[str, Callable[[], object]]]:
    """ONNX Runtime's version, and the calls by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = int(sys.argv[3])
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    requests = pickle.loads(Path(sys.argv[2]).read_bytes())
    return onnxruntime.__version__, {name: partial(session.run, None, inputs) for name, inputs in requests.items()}


if __name__ == "__main__":
    serve_calls(build)
