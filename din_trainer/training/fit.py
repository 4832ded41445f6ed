"""Makes the configured model from Transform's output and trains it. TFX Trainer and `din bench quality` both call it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.exchange.collectives import current
from din_trainer.models.make_model import make_model
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.initial_tables import initialise_tables, vocabulary_sizes
from din_trainer.training.input_pipeline import Split
from din_trainer.training.loop import Trained, seed_everything, train
from din_trainer.training.warm_start.warm_start import StartModel, WarmStart
from din_trainer.training.workers.group import train_by_workers
from din_trainer.training.workers.shared_split import SharedSplit


@tf.autograph.experimental.do_not_convert  # saves a second: no control flow of the input pipeline depends on a tensor
def fit(
    config: DINConfig,
    transform_output: tft.TFTransformOutput,
    train_files: Sequence[str],
    validation_files: Sequence[str],
    log_dir: Path | None = None,
    checkpoint_dir: Path | None = None,
    start: StartModel | None = None,
) -> Trained:
    """Makes and trains the configured model, by as many workers as `training.workers` says.

    Args:
        config: The model and its training, with the seed.
        transform_output: The Transform graph and its vocabularies.
        train_files: Shards of raw tf.Examples to learn from.
        validation_files: Shards of raw tf.Examples that select the best epoch.
        log_dir: As in `train`.
        checkpoint_dir: As in `train`.
        start: The model to start from; None starts at random.

    Raises:
        ValueError: As `initialise_tables`.
        NoStart: As `WarmStart`.
        TrainingDiverged: As `train`.
        NoCluster, WorkersFailed: As `train_by_workers`.
    """
    settings = config.training
    if settings.workers > 1 and current() is None:
        return train_by_workers(config, transform_output, train_files, validation_files, log_dir, checkpoint_dir, start)
    seed_everything(settings.seed, settings.deterministic)
    model = make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))
    from_files = initialise_tables(model, transform_output)

    read = raw_example_reader(config.features, transform_output)
    workers = current()
    make_split = partial(SharedSplit, workers) if workers else Split
    train_split = make_split(
        train_files,
        read,
        settings.batch_size,
        labels=config.features.labels,
        shuffle_seed=settings.seed,
        negative_rate=settings.negative_rate,
        memory_mb=settings.memory_mb,
    )
    validation_split = make_split(validation_files, read, settings.batch_size, labels=config.features.labels, memory_mb=settings.memory_mb)
    validation = validation_split.own_rows()
    if start is None or (workers and workers.index > 0):  # the others get the state of the first worker
        return train(model, train_split.epoch, validation, log_dir, checkpoint_dir)
    warm = WarmStart(model, transform_output, start, from_files)
    warm.take_over(train_split.unsampled().map(lambda features, *_: features))
    trained = train(model, train_split.epoch, validation, log_dir, checkpoint_dir, take_moments=warm.take_moments)
    return trained._replace(warm_start=warm.report)
