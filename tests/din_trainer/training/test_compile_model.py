"""The optimizer, its learning rate and its clipping are the configured ones."""

import keras
import pytest

from din_trainer.config import TrainingConfig
from din_trainer.training.compile_model import make_optimizer
from din_trainer.training.lazy_adam import LazyAdam


def rates(schedule, steps):
    optimizer = make_optimizer(TrainingConfig.model_validate({"learning_rate": 0.1, "schedule": schedule}))
    values = []
    for step in steps:
        optimizer.iterations.assign(step)
        values.append(float(optimizer.learning_rate))
    return values


def test_learning_rate_schedules():
    assert rates({}, [0, 1000]) == pytest.approx([0.1, 0.1])
    assert rates({"kind": "exponential", "steps": 10, "rate": 0.5}, [0, 10, 15]) == pytest.approx([0.1, 0.05, 0.1 * 0.5**1.5])
    assert rates({"kind": "cosine", "steps": 10}, [0, 5, 10]) == pytest.approx([0.1, 0.05, 0.0], abs=1e-8)
    warm = {"kind": "cosine", "steps": 10, "warmup_steps": 4}
    assert rates(warm, [0, 2, 4, 9, 14]) == pytest.approx([0.0, 0.05, 0.1, 0.05, 0.0], abs=1e-8)


def test_the_optimizer_is_the_configured_one():
    lazy = make_optimizer(TrainingConfig(clip_norm=3.0))
    assert isinstance(lazy, LazyAdam) and lazy.global_clipnorm == 3.0
    assert type(make_optimizer(TrainingConfig(optimizer="adam"))) is keras.optimizers.Adam
