"""Times calls of a SavedModel's signatures from Python. The tensors are made before.

Arguments: the SavedModel, a file of requests (`harness.read_requests`) and the size of TensorFlow's thread pools.
"""

import sys
from collections.abc import Callable
from functools import partial

from harness import read_requests, serve_calls


def build() -> tuple[str, dict[str, Callable[[], object]]]:
    """Loads the model. Returns TensorFlow's version and the calls by name."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[3]))
    tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[3]))
    signatures = tf.saved_model.load(sys.argv[1]).signatures
    requests = read_requests(sys.argv[2])
    calls: dict[str, Callable[[], object]] = {}
    for name, (signature, inputs) in requests.items():
        tensors = {key: tf.constant(array.tolist() if array.dtype == object else array) for key, array in inputs.items()}
        calls[name] = partial(signatures[signature], **tensors)
    return tf.__version__, calls


if __name__ == "__main__":
    serve_calls(build)
