"""Warm-up requests: TF Serving runs them before it serves a version, and the gate asks an export with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.base.tfrecord import read_records
from components.serving.model.impression_tensors import Impression, Tensors, as_impressions, predict_tensors, rank_tensors, to_example
from din_trainer.features import FeatureConfig


class Request(NamedTuple):
    """The name of a signature and its inputs."""

    signature: str
    tensors: Tensors


def sample_requests(users: Sequence[Impression], candidates: Sequence[Sequence[Impression]], features: FeatureConfig) -> list[Request]:
    """Returns six requests: each scoring signature gets the first of a sample alone, and then the whole sample.

    Args:
        users: Impressions.
        candidates: For each user N dicts with the features of a candidate.
        features: What the model reads.

    Returns:
        Requests of `serving_default` and `predict` (the first user with the first candidate; each user with each candidate, user by user)
        and of `rank` (the first user with all candidates; all users).

    Raises:
        ValueError: A value is not of the feature's type, or a required value is missing.
    """
    requests = []
    rows = as_impressions(users, candidates)
    for batch in (rows[:1], rows):
        requests.append(Request("serving_default", {"examples": np.array([to_example(row, features) for row in batch], object)}))
        requests.append(Request("predict", predict_tensors(batch, features)))
    requests += [Request("rank", rank_tensors(users[:count], candidates[:count], features)) for count in (1, len(users))]
    return requests


def write_warm_up(path: Path, requests: Sequence[Request]) -> None:
    """Writes requests as a TFRecord of PredictionLogs; TF Serving accepts at most 1,000. They name no model, so they fit any name."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = PredictionLog()
            log.predict_log.request.model_spec.signature_name = request.signature
            for name, values in request.tensors.items():
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            writer.write(log.SerializeToString())


def read_warm_up(path: Path) -> list[Request]:
    """Reads the requests that `write_warm_up` wrote.

    Raises:
        DataError: The file is not a TFRecord file.
        google.protobuf.message.DecodeError: Its records are not PredictionLogs.
    """
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    found = (PredictionLog.FromString(record).predict_log.request for record in read_records(path))
    return [
        Request(request.model_spec.signature_name, {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()})
        for request in found
    ]
