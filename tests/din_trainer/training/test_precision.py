"""Training in mixed precision: only its matrix products have fewer bits. What is kept, saved and served is float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import ValidationError

from din_trainer.config import DINConfig, TrainingConfig
from din_trainer.export.signatures import export
from din_trainer.models.make_model import make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer.batches import SIZES, make_batch, make_dataset
from tests.din_trainer.training.workers.fitting import fit_in, impressions, prepare
from tests.transforming import to_example

BFLOAT16 = "mixed_bfloat16"


def make(precision, **model):
    keras.utils.set_random_seed(0)
    settings = {"model": {"dropout": 0.0, **model}, "training": {"precision": precision}}
    return make_model(DINConfig.model_validate(settings), SIZES)


@pytest.mark.parametrize("kind", ["din", "base", "dcn", "deepfm"])
def test_logits_in_training_are_near_those_of_float32(kind):
    """Within 1 % of the spread; they differ, so that products are in bfloat16 indeed. At inference they are equal."""
    features = make_batch(500)
    float32, mixed = (make(precision, kind=kind) for precision in ("float32", BFLOAT16))
    for model in (float32, mixed):
        for number, weight in enumerate(model.trainable_weights):  # new embeddings and biases are so small that hardly anything shows
            weight.assign(np.random.default_rng(number).normal(size=weight.shape, scale=0.3))
    exact, rounded = (model(features, training=True).numpy() for model in (float32, mixed))
    assert rounded.dtype == np.float32 and np.ptp(exact) > 0.3
    assert 1e-5 < np.abs(rounded - exact).max() < 0.01 * np.ptp(exact)
    for activation, own in zip(*([w for w in x.weights if not w.trainable] for x in (mixed, float32)), strict=True):
        activation.assign(own)  # the moving statistics of the step
    np.testing.assert_array_equal(mixed.infer(features), float32.infer(features))


@pytest.mark.parametrize("optimizer", ["lazy_adam", "adam"])
def test_weights_moments_and_statistics_stay_float32_and_the_loss_follows_float32(optimizer):
    losses = {}
    for precision in ("float32", BFLOAT16):
        keras.utils.set_random_seed(0)
        training = {"precision": precision, "optimizer": optimizer}
        model = make_model(DINConfig.model_validate({"model": {"dropout": 0.0}, "training": training}), SIZES)
        compile_model(model)
        losses[precision] = keras.Model.fit(model, make_dataset(640, 0), epochs=5, verbose=0).history["loss"]
        assert {x.dtype for x in (*model.weights, *model.optimizer.variables) if "float" in x.dtype} == {"float32"}
    np.testing.assert_allclose(losses[BFLOAT16], losses["float32"], atol=2e-3)
    assert losses[BFLOAT16] != losses["float32"] and losses["float32"][0] - losses["float32"][-1] > 0.01


def test_a_saved_model_goes_on_in_its_precision(tmp_path):
    model = make(BFLOAT16)
    compile_model(model)
    keras.Model.fit(model, make_dataset(640, 0), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    features = make_batch(100, seed=1)
    np.testing.assert_array_equal(again.infer(features), model.infer(features))
    np.testing.assert_array_equal(again(features, training=True), model(features, training=True))
    histories = [keras.Model.fit(x, make_dataset(640, 2), verbose=0).history["loss"] for x in (model, again)]
    np.testing.assert_allclose(*histories, rtol=1e-6)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_pipeline_trains_in_mixed_precision_and_exports_float32(workers, tmp_path):
    """With checkpoints, validation and the best epoch. The export is that of a float32 model with the same weights."""
    prepare(tmp_path)
    trained = fit_in(tmp_path, tmp_path / "checkpoints", precision=BFLOAT16, workers=workers)
    model, graph = trained.model, tft.TFTransformOutput(str(tmp_path / "graph"))
    assert max(epoch["val_auc"] for epoch in trained.epochs) > 0.6
    export(model, graph, str(tmp_path / "saved"))
    float32 = type(model).from_config({**model.get_config(), "config": {**model.get_config()["config"], "training": {}}})
    float32.build()
    for weight, own in zip(float32.weights, model.weights, strict=True):
        weight.assign(own)
    export(float32, graph, str(tmp_path / "float32"))
    examples = tf.constant([to_example(row) for row in impressions(200, 7)])
    outputs = [
        tf.saved_model.load(str(tmp_path / name)).signatures["serving_default"](examples=examples)["probability"]
        for name in ("saved", "float32")
    ]
    assert [x.dtype for x in outputs] == [tf.float32, tf.float32]
    np.testing.assert_array_equal(*outputs)


def test_float16_is_refused_in_one_sentence():
    with pytest.raises(ValidationError, match=r"'mixed_float16' needs a loss scale.*use 'mixed_bfloat16'"):
        TrainingConfig(precision="mixed_float16")
    with pytest.raises(ValidationError, match="'float32' or 'mixed_bfloat16'"):
        TrainingConfig(precision="float64")
