"""Runs the pipeline up to Transform once, so that many models can be trained on its output and judged on eval/."""

import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from benchmarks.quality.eval_judge import Trial, read_eval
from components.base.errors import DataError
from components.data_gate import DataRefused
from din_trainer.config import DINConfig
from din_trainer.features import LABEL, USER_ID
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.fit import fit
from din_trainer.training.initial_tables import vocabulary_sizes
from din_trainer.training.input_pipeline import Split
from din_trainer.training.validation import logits_of
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.dag import create_data_pipeline
from pipeline.datasets.layout import SPLITS, split_files
from pipeline.places import Places
from pipeline.records.metadata_store import RunOutputs
from pipeline.runners.local import run_locally
from pipeline.terminal import Progress

_RUN = "bench"
_BATCH = 4096


class Measurement(NamedTuple):
    """The metrics of a trained model on eval/, the best epoch's AUC on validation/, and the duration of the training.

    GAUC is None if the data has no user ids.
    """

    auc: float
    gauc: float | None
    log_loss: float
    validation_auc: float
    seconds: float


class Experiment:
    """A data set that is ready for training.

    Args:
        config: The configuration whose features are prepared; with regularisation, the counts of the vocabularies' values as well.
        data: A data set that has been checked.
        schema: The schema of the data.
        workspace: Where all files are written.
        progress: Shows each node.

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
        self._files = {split: [str(file) for file in split_files(data, split)] for split in SPLITS}
        self._read = raw_example_reader(config.features, self._transform_output)
        self._judge = read_eval(data, with_users=USER_ID in config.features.user)
        self.vocabulary_sizes = vocabulary_sizes(config.features.vocabularies, self._transform_output)

    def train(self, config: DINConfig) -> Trial:
        """Trains a model like TFX's Trainer, with early stopping on validation/."""
        keras.backend.clear_session()  # frees the graphs of the last model
        started = time.monotonic()
        trained = fit(config, self._transform_output, self._files["train"], self._files["validation"])
        seconds = time.monotonic() - started
        logits = logits_of(trained.model, self._batches("eval")).astype(np.float64)
        return Trial(logits, [epoch["val_auc"] for epoch in trained.epochs], seconds)

    def measure(self, config: DINConfig) -> Measurement:
        """Trains a model and judges it on eval/."""
        trial = self.train(config)
        return Measurement(*self._judge.judge(trial.logits), max(trial.validation_aucs), trial.seconds)

    def write_arrays(self, file: Path) -> None:
        """Writes the transformed impressions as NumPy arrays, `<split>/<feature>`, for the peers, in their order."""
        arrays: dict[str, np.ndarray] = {}
        for split in SPLITS:
            parsed = [{**features, LABEL: label} for features, label, *_ in self._batches(split).as_numpy_iterator()]
            arrays |= {f"{split}/{name}": np.concatenate([batch[name] for batch in parsed]) for name in parsed[0]}
        np.savez(file, allow_pickle=False, **arrays)

    def _batches(self, split: str) -> tf.data.Dataset:
        """Returns the transformed impressions of a split, in their order."""
        return Split(self._files[split], self._read, _BATCH).epoch()
