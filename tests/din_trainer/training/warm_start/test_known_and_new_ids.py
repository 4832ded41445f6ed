"""A warm start finds what was learnt in vocabularies of another order and in the optimizer; new ids start from what is known."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.keras_pins import adam_moments
from din_trainer.models.make_model import MODELS
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.compile_model import compile_model
from din_trainer.training.initial_tables import initialise_tables
from din_trainer.training.warm_start.warm_start import WarmStart
from din_trainer.transform.scales import read_scales
from tests.din_trainer.training.warm_start.starting import (
    FEATURES,
    FIRST,
    OLD_IDS,
    SECOND,
    configure,
    impression,
    kept_by,
    made,
    scores,
    start_from,
    taken_over,
)
from tests.transforming import to_example, with_large_weights


def test_the_vocabulary_has_the_new_values_and_those_that_are_remembered(two_days):
    """Values that do not occur today come last; ties in the falling order of their bytes, as everywhere."""
    assert two_days[0].vocabulary_by_name("item") == [b"10", b"20", b"40", b"30"]
    assert two_days[1].vocabulary_by_name("item") == [b"40", b"60", b"50", b"20", b"30", b"10"]
    assert two_days[1].vocabulary_by_name("item_counts") == [b"4 40", b"3 60", b"3 50", b"1 20", b"0 30", b"0 10"]
    assert two_days[1].vocabulary_by_name("item_ages") == [b"0 40", b"0 60", b"0 50", b"0 20", b"1 30", b"1 10"]
    assert two_days[1].vocabulary_by_name("user_id") == [b"3", b"2", b"1"]


def test_values_are_forgotten_after_spans_without_them(two_days, tmp_path):
    """10 and 30 occur on the first day alone. Without the third they are missed for 2 spans; if the third comes a day late, for 3."""
    third = [impression(3, 60, "c", [])]
    second = Path(two_days[1].transform_savedmodel_dir).parent
    features = FeatureConfig.model_validate(FEATURES)
    two = analyse(third, features, tmp_path / "two", start=kept_by(second, forget_after=2))
    assert two.vocabulary_by_name("item_ages") == [b"0 60", b"1 50", b"1 40", b"1 20"]
    late = analyse(third, features, tmp_path / "late", start=kept_by(second, forget_after=4, elapsed=2))
    assert late.vocabulary_by_name("item_ages") == [b"0 60", b"2 50", b"2 40", b"3 30", b"2 20", b"3 10"]


def test_numbers_keep_the_scale_of_the_start_model(two_days):
    first, second = (read_scales(Path(day.transform_savedmodel_dir).parent, ["price"])["price"] for day in two_days)
    prices = np.array([3, 5, -1.5])
    np.testing.assert_allclose([first["mean"], first["variance"]], [prices.mean(), prices.var()], rtol=1e-15)
    assert first == second


@pytest.mark.parametrize(
    "model_settings",
    [*({"kind": kind} for kind in MODELS), *({"interactions": kind} for kind in ("none", "sum", "inner", "elementwise", "mean_inner"))],
    ids=lambda settings: next(iter(settings.values())),
)
def test_scores_of_known_ids_are_equal_to_the_last_bit_before_the_first_step(two_days, tmp_path, model_settings):
    config = configure(model_settings)
    start = with_large_weights(made(config, two_days[0]))
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    before = scores(start, two_days[0], OLD_IDS)
    assert len(set(before)) == len(OLD_IDS)
    np.testing.assert_array_equal(scores(model, two_days[1], OLD_IDS), before)
    assert warm.report["not_kept"] == []
    assert warm.report["vocabularies"] == {
        "item": {"kept": 4, "new": 2, "dropped": 0},
        "category": {"kept": 3, "new": 0, "dropped": 0},
        "user_id": {"kept": 2, "new": 1, "dropped": 0},
    }


def test_new_ids_start_as_they_were_scored_before_from_their_bucket(two_days, tmp_path):
    """Also with several buckets: an impression of unknown ids alone keeps its score to the last bit."""
    config = configure()
    start = with_large_weights(made(config, two_days[0]))
    model, _ = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_array_equal(scores(model, two_days[1], SECOND), scores(start, two_days[0], SECOND))


def test_each_row_is_found_by_its_value(two_days, tmp_path):
    """Row numbers worked out by hand from the two orders of the vocabulary."""
    config = configure({"kind": "wide_deep"})
    start = with_large_weights(made(config, two_days[0]))
    model, _ = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    for old, new in zip(start.tables_of("item"), model.tables_of("item"), strict=True):
        old_rows, rows = np.array(old.embeddings), np.array(new.embeddings)
        np.testing.assert_array_equal(rows[[0, 1, 4, 5, 6, 7, 8]], old_rows[[0, 3, 2, 4, 1, 5, 6]])
        assert all(row.tolist() in old_rows[5:].tolist() for row in rows[2:4])


def test_new_ids_start_from_the_mean_of_their_category(two_days, tmp_path):
    """50 is of category a, like the known 10 and 40, of which today's data has 40 alone; 60 is of c, which has no known item today."""
    config = configure(training={"new_ids": "category"})
    start = with_large_weights(made(config, two_days[0]))
    read = raw_example_reader(config.features, two_days[1])
    batches = [read(tf.constant([to_example(row) for row in SECOND]))]
    model, _ = taken_over(config, two_days, start_from(start, two_days[0], tmp_path), batches)
    old_rows, rows = np.array(start.tables["item"].embeddings), np.array(model.tables["item"].embeddings)
    np.testing.assert_array_equal(rows[3], old_rows[3])  # 50, of which 40 is the whole category
    assert rows[2].tolist() in old_rows[5:].tolist()
    assert np.array(model.tables["user_id"].embeddings)[1].tolist() == np.array(start.tables["user_id"].embeddings)[3].tolist()


def test_new_ids_start_at_random(two_days, tmp_path):
    config = configure(training={"new_ids": "random"})
    start = with_large_weights(made(config, two_days[0]))
    fresh = made(config, two_days[1])
    before = np.array(fresh.tables["item"].embeddings)
    WarmStart(fresh, two_days[1], start_from(start, two_days[0], tmp_path), {}).take_over([])
    after = np.array(fresh.tables["item"].embeddings)
    np.testing.assert_array_equal(after[[2, 3]], before[[2, 3]])
    assert not np.any(after[[1, 4]] == before[[1, 4]])


def trained_a_step(model, transform_output):
    compile_model(model)
    read = raw_example_reader(model.din_config.features, transform_output)
    features = read(tf.constant([to_example(row) for row in FIRST]))
    labels = features.pop(LABEL)
    keras.Model.fit(model, tf.data.Dataset.from_tensors((features, labels)).repeat(3), verbose=0)
    return model


@pytest.mark.parametrize("optimizer", ["lazy_adam", "adam"])
def test_moments_are_found_by_value_too(two_days, tmp_path, optimizer):
    config = configure(training={"warm_moments": True, "optimizer": optimizer})
    start = trained_a_step(made(config, two_days[0]), two_days[0])
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    warm.take_moments(model.optimizer)
    assert int(model.optimizer.iterations) == 3
    for number in (0, 1):
        old = adam_moments(start.optimizer, start.tables["item"].embeddings)[number].numpy()
        new = adam_moments(model.optimizer, model.tables["item"].embeddings)[number].numpy()
        assert np.any(old[[1, 2, 3, 4]])
        np.testing.assert_array_equal(new[[0, 1, 4, 5, 6, 7, 8]], old[[0, 3, 2, 4, 1, 5, 6]])
        np.testing.assert_array_equal(new[[2, 3]], 0)
        kernel, old_kernel = (adam_moments(m.optimizer, m.mlp.dense[0].kernel)[number].numpy() for m in (model, start))
        np.testing.assert_array_equal(kernel, old_kernel)
        assert np.any(kernel)
    assert warm.report["moments"]


def test_without_the_option_the_optimizer_starts_anew(two_days, tmp_path):
    config = configure()
    start = trained_a_step(made(config, two_days[0]), two_days[0])
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    warm.take_moments(model.optimizer)
    assert int(model.optimizer.iterations) == 0
    assert not np.any(adam_moments(model.optimizer, model.tables["item"].embeddings)[0])


def test_dice_keeps_its_statistics(two_days, tmp_path):
    config = configure()
    start = trained_a_step(made(config, two_days[0]), two_days[0])
    model, _ = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    pairs = list(zip(start.mlp.activations, model.mlp.activations, strict=True))
    pairs += zip(start.attention["clicks"].activations, model.attention["clicks"].activations, strict=True)
    for old, new in pairs:
        assert np.any(old.moving)
        np.testing.assert_array_equal(new.moving, old.moving)


def test_counts_of_the_regularisation_are_those_of_the_new_data(two_days, tmp_path):
    config = configure(training={"regularization": 0.1})
    start = with_large_weights(made(config, two_days[0]))
    model = made(config, two_days[1])
    initialise_tables(model, two_days[1])
    WarmStart(model, two_days[1], start_from(start, two_days[0], tmp_path), {}).take_over([])
    np.testing.assert_array_equal(model.tables["item"].counts, [0, 4, 3, 3, 1, 0, 0, 0, 0])


def test_embeddings_of_a_file_are_for_new_ids_and_for_tables_that_training_does_not_change(two_days, tmp_path):
    config = configure()
    start = with_large_weights(made(config, two_days[0]))
    model = made(config, two_days[1])
    before = np.array(model.tables["item"].embeddings)
    WarmStart(model, two_days[1], start_from(start, two_days[0], tmp_path), {"item": {1, 2}}).take_over([])
    after = np.array(model.tables["item"].embeddings)
    np.testing.assert_array_equal(after[1], np.array(start.tables["item"].embeddings)[3])
    np.testing.assert_array_equal(after[2], before[2])
