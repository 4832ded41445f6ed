"""Trains a model for each day in several ways, and judges it on the next day."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf
import tensorflow_transform as tft

from benchmarks.days.day_data import Day, analyse
from din_trainer.config import DINConfig
from din_trainer.models.ranking_model import RankingModel
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.trainer import KERAS_FILE
from din_trainer.training.fit import fit
from din_trainer.training.input_pipeline import Split
from din_trainer.training.validation import logits_of
from din_trainer.training.warm_start.warm_start import StartModel
from pipeline.configuration.start_model import Start


class Way(NamedTuple):
    """A way to train day by day.

    Attributes:
        name: For the table.
        window: How many days are trained on.
        warm: Whether a training starts from the model of the day before.
        settings: Of a warm training, where it differs from a cold one, as `--set` has them.
    """

    name: str
    window: int
    warm: bool
    settings: tuple[str, ...] = ()


class Figures(NamedTuple):
    """What a model of one day came to.

    Attributes:
        auc: On the day after the window.
        calibration: Predicted over observed clicks there.
        counting: CPU seconds of Transform.
        training: CPU seconds of the training.
        impressions: How many impressions the training has read.
    """

    auc: float
    calibration: float
    counting: float
    training: float
    impressions: int

    @property
    def seconds(self) -> float:
        return self.counting + self.training


def train_by_day(
    way: Way, days: list[Day], first: DINConfig, later: DINConfig, folder: Path, tell: Callable[[str, Figures], None]
) -> list[Figures]:
    """Trains a model for each day but the first, and judges it on that day.

    Args:
        way: How.
        days: The days, in order.
        first: The model and its training, from random weights.
        later: The same, from the model of the day before.
        folder: Where all files are written.
        tell: Is called after each day.
    """
    result: list[Figures] = []
    start: Start | None = None
    for number in range(1, len(days)):
        window, judged, place = days[max(0, number - way.window) : number], days[number], folder / days[number].name
        config = later if start else first
        keras.backend.clear_session()
        before = time.process_time()
        keeps = start.for_transform(config.training.forget_after) if start else None
        graph = analyse(window, config.features, place / "graph", folder / "cache", keeps)
        counted = time.process_time()
        output = tft.TFTransformOutput(str(graph))
        files = [str(day.whole) for day in window[:-1]] + [str(window[-1].train)]
        start_model = StartModel(start.model_file, start.transform_graph) if start else None
        trained = fit(config, output, files, [str(window[-1].validation)], start=start_model)
        trained_at = time.process_time()
        if way.warm:
            trained.model.save(place / KERAS_FILE)
            start = Start(judged.name, place / KERAS_FILE, graph, "", 1, {})
        auc, calibration = _judge(trained.model, output, judged)
        read = len(trained.epochs) * _count(files)
        result.append(Figures(auc, calibration, counted - before, trained_at - counted, read))
        tell(judged.name, result[-1])
    return result


def _judge(model: RankingModel, output: tft.TFTransformOutput, day: Day) -> tuple[float, float]:
    """AUC and calibration on a day."""
    batches = Split([str(day.whole)], raw_example_reader(model.din_config.features, output), 4096).epoch()
    logits = logits_of(model, batches).astype(np.float64)
    labels = np.concatenate([label for _, label, *_ in batches.as_numpy_iterator()])
    return float(sklearn.metrics.roc_auc_score(labels, logits)), float(np.sum(1 / (1 + np.exp(-logits))) / labels.sum())


def _count(files: list[str]) -> int:
    return sum(1 for _ in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def as_json(figures: Figures) -> dict[str, Any]:
    return {**figures._asdict(), "seconds": figures.seconds}
