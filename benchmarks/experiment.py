"""Impressions that go through the DAG up to Transform once, so that any number of models can be trained on them and judged by them."""

import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf
import tensorflow_transform as tft

from components.data_gate import DataRefused
from din_trainer.config import DINConfig
from din_trainer.features import LABEL, USER_ID, FeatureConfig
from din_trainer.fitting import fit
from din_trainer.training import logits_of
from pipeline.config import PipelineConfig
from pipeline.dag import Places, create_data_pipeline
from pipeline.datasets.tfrecord import read_batches
from pipeline.errors import DataError
from pipeline.gauc import gauc
from pipeline.metadata import RunOutputs
from pipeline.preflight import split_files
from pipeline.runners.local import run_locally
from pipeline.terminal import Progress

_RUN = "bench"
_BATCH = 4096


class Measurement(NamedTuple):
    """A trained model on eval/, and how long its training took; GAUC is None where there are no users to rank for."""

    auc: float
    gauc: float | None
    log_loss: float
    seconds: float


class Experiment:
    """Prepares the data.

    Args:
        config: Whose features are prepared, and the vocabularies' counts if it has regularisation.
        data: A data set that has been checked.
        schema: Its schema.
        workspace: Where everything goes.
        progress: Told of each node.

    Raises:
        DataError: The data gate refuses the data.
    """

    def __init__(self, config: PipelineConfig, data: Path, schema: Path, workspace: Path, progress: Progress):
        places = Places(
            data=data,
            schema=schema,
            artifacts=workspace / "artifacts",
            metadata=workspace / "metadata.sqlite",
            checkpoints=workspace / "checkpoints",
            serving=workspace / "serving",
            baseline=None,
        )
        try:
            run_locally(create_data_pipeline(config, places), _RUN, progress)
        except DataRefused as error:
            raise DataError(str(error)) from error
        outputs = RunOutputs(places.metadata, _RUN)
        self._transform_output = tft.TFTransformOutput(str(outputs.uri("Transform", "transform_graph")))
        examples = Path(str(outputs.uri("Transform", "transformed_examples")))
        self._train, self._validation = (sorted(map(str, (examples / f"Split-{s}").iterdir())) for s in ("train", "validation"))
        self._eval_batches = _transformed(split_files(data, "eval"), config.features, self._transform_output)
        self._label = _column(data, LABEL)
        self._user = _column(data, USER_ID) if USER_ID in config.features.user else None

    def measure(self, config: DINConfig) -> Measurement:
        """Trains a model as TFX Trainer does, selecting on validation/, and judges it on eval/."""
        keras.backend.clear_session()  # the last model's graphs
        started = time.monotonic()
        model = fit(config, self._transform_output, self._train, self._validation).model
        seconds = time.monotonic() - started
        logits = np.concatenate(list(logits_of(model, self._eval_batches).as_numpy_iterator())).astype(np.float64)
        return Measurement(
            auc=float(sklearn.metrics.roc_auc_score(self._label, logits)),
            gauc=None if self._user is None else gauc(self._user, logits, self._label),
            log_loss=float(sklearn.metrics.log_loss(self._label, 1 / (1 + np.exp(-logits)))),
            seconds=seconds,
        )


def _transformed(files: list[Path], features: FeatureConfig, transform_output: tft.TFTransformOutput) -> tf.data.Dataset:
    """Batches of the model's inputs from raw impressions, in their order, made as in the exported model."""
    transform = transform_output.transform_features_layer()
    spec = {column.name: transform_output.raw_feature_spec()[column.name] for column in features.columns}
    records = tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP")
    return records.batch(_BATCH).map(lambda serialized: transform(tf.io.parse_example(serialized, spec)))


def _column(data: Path, name: str) -> np.ndarray:
    """A feature with one value an impression, over eval/ in the order of its impressions."""
    batches = (batch for file in split_files(data, "eval") for batch in read_batches(file))
    return np.concatenate([batch.column(name).flatten().to_numpy(zero_copy_only=False) for batch in batches])
