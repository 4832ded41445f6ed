"""Makes a model ready for Keras' `fit`: optimizer, learning-rate schedule, loss (equation 2 of the paper) and metrics."""

from typing import Any

import keras

from din_trainer.config import TrainingConfig
from din_trainer.models.binned_auc import BinnedAUC
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.lazy_adam import LazyAdam

_STEPS_A_CALL = 32  # training steps in one call of TensorFlow, so that Python costs little


def make_optimizer(settings: TrainingConfig) -> keras.optimizers.Optimizer:
    """Returns the configured optimizer, with its schedule and clipping."""
    rate, schedule = settings.learning_rate, settings.schedule
    schedules = keras.optimizers.schedules
    learning_rate: Any = rate
    if schedule.kind == "exponential":
        learning_rate = schedules.ExponentialDecay(rate, schedule.steps, schedule.rate)
    elif schedule.kind == "cosine":
        warm = {"initial_learning_rate": 0.0, "warmup_target": rate} if schedule.warmup_steps else {"initial_learning_rate": rate}
        learning_rate = schedules.CosineDecay(decay_steps=schedule.steps, warmup_steps=schedule.warmup_steps, **warm)
    kind = LazyAdam if settings.optimizer == "lazy_adam" else keras.optimizers.Adam
    return kind(learning_rate, global_clipnorm=settings.clip_norm)


def compile_model(model: RankingModel) -> None:
    """Makes a model ready for `fit`, with the settings of its configuration."""
    model.compile(
        optimizer=make_optimizer(model.din_config.training),
        loss=model.log_loss(),
        metrics=[BinnedAUC()],
        jit_compile=False,  # XLA is several times slower than the plain graph on CPU
        steps_per_execution=_STEPS_A_CALL,
    )
