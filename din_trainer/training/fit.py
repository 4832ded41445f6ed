"""Makes the configured model from Transform's output and trains it. TFX Trainer and `din bench quality` both call it."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.initial_tables import initialise_tables, vocabulary_sizes
from din_trainer.training.input_pipeline import Split
from din_trainer.training.loop import Trained, seed_everything, train
from din_trainer.training.warm_start.warm_start import StartModel, WarmStart


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
    """Makes and trains the configured model.

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
    """
    settings = config.training
    seed_everything(settings.seed, settings.deterministic)
    model = make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))
    from_files = initialise_tables(model, transform_output)

    read = raw_example_reader(config.features, transform_output)
    train_split = Split(
        train_files,
        read,
        settings.batch_size,
        labels=config.features.labels,
        shuffle_seed=settings.seed,
        negative_rate=settings.negative_rate,
        memory_mb=settings.memory_mb,
    )
    validation_split = Split(validation_files, read, settings.batch_size, labels=config.features.labels, memory_mb=settings.memory_mb)
    if start is None:
        return train(model, train_split.epoch, validation_split.epoch(), log_dir, checkpoint_dir)
    warm = WarmStart(model, transform_output, start, from_files)
    warm.take_over(train_split.unsampled().map(lambda features, *_: features))
    trained = train(model, train_split.epoch, validation_split.epoch(), log_dir, checkpoint_dir, take_moments=warm.take_moments)
    return trained._replace(warm_start=warm.report)
