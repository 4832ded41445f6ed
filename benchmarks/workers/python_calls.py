"""Signatures of a SavedModel called from Python, on tensors made beforehand.

Called with the SavedModel, a pickle of {name: (signature, {input: array})} and the size of TensorFlow's thread pools.
"""

import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness import serve_calls


def build() -> tuple[str, dict[str, Callable[[], object]]]:
    """TensorFlow's version, and the calls by name."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[3]))
    tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[3]))
    signatures = tf.saved_model.load(sys.argv[1]).signatures
    requests = pickle.loads(Path(sys.argv[2]).read_bytes())
    return tf.__version__, {
        name: partial(signatures[signature], **{key: tf.constant(array) for key, array in inputs.items()})
        for name, (signature, inputs) in requests.items()
    }


if __name__ == "__main__":
    serve_calls(build)
