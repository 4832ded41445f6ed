"""A warm start finds what the start model has learnt in vocabularies of another order, in another network and in the optimizer."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.config import DINConfig
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.keras_pins import adam_moments
from din_trainer.models.make_model import MODELS, make_model
from din_trainer.reading.training_examples import raw_example_reader
from din_trainer.training.compile_model import compile_model
from din_trainer.training.initial_tables import initialise_tables, vocabulary_sizes
from din_trainer.training.warm_start.warm_start import StartModel, WarmStart
from din_trainer.training_errors import NoStart
from din_trainer.transform.scales import read_scales
from tests.transforming import to_example, with_large_weights

HOUR = 3600
BEHAVIOURS = {
    "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4, "oov_buckets": 2},
    "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "dim": 2},
}
FEATURES = {
    "history_length": 3,
    "time_gap": True,
    "behaviours": BEHAVIOURS,
    "user": {"user_id": {"dim": 2}},
    "context": {"price": {"kind": "numeric", "dtype": "float"}},
}


def impression(user, item, category, history, price=1.0, label=0):
    """A history is a list of (item, category); its events are one hour apart."""
    times = [hour * HOUR for hour in range(len(history))]
    return {
        "user_id": user, "candidate_item_id": item, "candidate_category_id": category, "label": label, "price": price,
        "historical_item_ids": [i for i, _ in history], "historical_category_ids": [c for _, c in history],
        "historical_timestamps": times, "timestamp": len(history) * HOUR + 60 * item,
    }  # fmt: skip


# The first day has the items 10 (three times), 20 (twice), 30 and 40; the categories a, b and c.
FIRST = [
    impression(1, 10, "a", [(20, "b"), (10, "a")], 3.0, 1),
    impression(1, 20, "b", [(10, "a")], 5.0),
    impression(2, 30, "c", [(40, "a")], -1.5),
]
# The second has 40 (four times), 50 and 60 (new, three times each, of the categories a and c), 20, but neither 10 nor 30.
SECOND = [
    impression(2, 40, "a", [(40, "a"), (50, "a"), (60, "c")], 100.0),
    impression(3, 50, "a", [(40, "a"), (50, "a"), (60, "c")], 700.0, 1),
    impression(3, 60, "c", [(40, "a"), (20, "b")], 200.0),
]
OLD_IDS = [impression(2, 40, "a", [(20, "b"), (40, "a")], 7.25), impression(1, 20, "b", [], -3.0), impression(2, 20, "c", [(40, "a")], 0.1)]
# Item 20 is known on both days, user 1 on the first alone: it is remembered.


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """The Transform output of each day; the second forgets nothing."""
    folder = tmp_path_factory.mktemp("days")
    features = FeatureConfig.model_validate(FEATURES)
    first = analyse(FIRST, features, folder / "1")
    return first, analyse(SECOND, features, folder / "2", with_counts=True, start=kept_by(folder / "1", forget_after=0))


def kept_by(graph: Path, forget_after, elapsed=1):
    values = {"transform_graph": str(graph), "elapsed": elapsed, "forget_after": forget_after}
    return {"values": values, "scales": read_scales(graph, ["price", "historical_time_gaps"])}


def configure(model=None, training=None, **features):
    return DINConfig.model_validate(
        {"features": FEATURES | features, "model": {"hidden": [5, 3], **(model or {})}, "training": training or {}}
    )


def made(config, transform_output):
    return make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))


def start_from(model, graph, folder):
    model.save(folder / "start.keras")
    return StartModel(folder / "start.keras", graph.transform_savedmodel_dir.removesuffix("/transform_fn"))


def taken_over(config, days, start, batches=(), from_files=None):
    """A model of the second day after its warm start, with the report."""
    model = made(config, days[1])
    warm = WarmStart(model, days[1], start, from_files or {})
    warm.take_over(batches)
    return model, warm


def scores(model, transform_output, rows):
    read = raw_example_reader(model.din_config.features, transform_output)
    features = read(tf.constant([to_example(row) for row in rows]))
    return model.infer({name: values for name, values in features.items() if name != LABEL}).numpy()


def test_the_vocabulary_has_the_new_values_and_those_that_are_remembered(days):
    """Values that do not occur today come last; ties in the falling order of their bytes, as everywhere."""
    assert days[0].vocabulary_by_name("item") == [b"10", b"20", b"40", b"30"]
    assert days[1].vocabulary_by_name("item") == [b"40", b"60", b"50", b"20", b"30", b"10"]
    assert days[1].vocabulary_by_name("item_counts") == [b"4 40", b"3 60", b"3 50", b"1 20", b"0 30", b"0 10"]
    assert days[1].vocabulary_by_name("item_ages") == [b"0 40", b"0 60", b"0 50", b"0 20", b"1 30", b"1 10"]
    assert days[1].vocabulary_by_name("user_id") == [b"3", b"2", b"1"]


def test_values_are_forgotten_after_spans_without_them(days, tmp_path):
    """10 and 30 occur on the first day alone. Without the third they are missed for 2 spans; if the third comes a day late, for 3."""
    third = [impression(3, 60, "c", [])]
    second = Path(days[1].transform_savedmodel_dir).parent
    features = FeatureConfig.model_validate(FEATURES)
    two = analyse(third, features, tmp_path / "two", start=kept_by(second, forget_after=2))
    assert two.vocabulary_by_name("item_ages") == [b"0 60", b"1 50", b"1 40", b"1 20"]
    late = analyse(third, features, tmp_path / "late", start=kept_by(second, forget_after=4, elapsed=2))
    assert late.vocabulary_by_name("item_ages") == [b"0 60", b"2 50", b"2 40", b"3 30", b"2 20", b"3 10"]


def test_numbers_keep_the_scale_of_the_start_model(days):
    first, second = (read_scales(Path(day.transform_savedmodel_dir).parent, ["price"])["price"] for day in days)
    prices = np.array([3, 5, -1.5])
    np.testing.assert_allclose([first["mean"], first["variance"]], [prices.mean(), prices.var()], rtol=1e-15)
    assert first == second


@pytest.mark.parametrize(
    "model_settings",
    [*({"kind": kind} for kind in MODELS), *({"interactions": kind} for kind in ("none", "sum", "inner", "elementwise", "mean_inner"))],
    ids=lambda settings: next(iter(settings.values())),
)
def test_scores_of_known_ids_are_equal_to_the_last_bit_before_the_first_step(days, tmp_path, model_settings):
    config = configure(model_settings)
    start = with_large_weights(made(config, days[0]))
    model, warm = taken_over(config, days, start_from(start, days[0], tmp_path))
    before = scores(start, days[0], OLD_IDS)
    assert len(set(before)) == len(OLD_IDS)
    np.testing.assert_array_equal(scores(model, days[1], OLD_IDS), before)
    assert warm.report["not_kept"] == []
    assert warm.report["vocabularies"] == {
        "item": {"kept": 4, "new": 2, "dropped": 0},
        "category": {"kept": 3, "new": 0, "dropped": 0},
        "user_id": {"kept": 2, "new": 1, "dropped": 0},
    }


def test_new_ids_start_as_they_were_scored_before_from_their_bucket(days, tmp_path):
    """Also with several buckets: an impression of unknown ids alone keeps its score to the last bit."""
    config = configure()
    start = with_large_weights(made(config, days[0]))
    model, _ = taken_over(config, days, start_from(start, days[0], tmp_path))
    np.testing.assert_array_equal(scores(model, days[1], SECOND), scores(start, days[0], SECOND))


def test_each_row_is_found_by_its_value(days, tmp_path):
    """Row numbers worked out by hand from the two orders of the vocabulary."""
    config = configure({"kind": "wide_deep"})
    start = with_large_weights(made(config, days[0]))
    model, _ = taken_over(config, days, start_from(start, days[0], tmp_path))
    for old, new in zip(start.tables_of("item"), model.tables_of("item"), strict=True):
        old_rows, rows = np.array(old.embeddings), np.array(new.embeddings)
        np.testing.assert_array_equal(rows[[0, 1, 4, 5, 6, 7, 8]], old_rows[[0, 3, 2, 4, 1, 5, 6]])
        assert all(row.tolist() in old_rows[5:].tolist() for row in rows[2:4])


def test_new_ids_start_from_the_mean_of_their_category(days, tmp_path):
    """50 is of category a, like the known 10 and 40, of which today's data has 40 alone; 60 is of c, which has no known item today."""
    config = configure(training={"new_ids": "category"})
    start = with_large_weights(made(config, days[0]))
    read = raw_example_reader(config.features, days[1])
    batches = [read(tf.constant([to_example(row) for row in SECOND]))]
    model, _ = taken_over(config, days, start_from(start, days[0], tmp_path), batches)
    old_rows, rows = np.array(start.tables["item"].embeddings), np.array(model.tables["item"].embeddings)
    np.testing.assert_array_equal(rows[3], old_rows[3])  # 50, of which 40 is the whole category
    assert rows[2].tolist() in old_rows[5:].tolist()
    assert np.array(model.tables["user_id"].embeddings)[1].tolist() == np.array(start.tables["user_id"].embeddings)[3].tolist()


def test_new_ids_start_at_random(days, tmp_path):
    config = configure(training={"new_ids": "random"})
    start = with_large_weights(made(config, days[0]))
    fresh = made(config, days[1])
    before = np.array(fresh.tables["item"].embeddings)
    WarmStart(fresh, days[1], start_from(start, days[0], tmp_path), {}).take_over([])
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
def test_moments_are_found_by_value_too(days, tmp_path, optimizer):
    config = configure(training={"warm_moments": True, "optimizer": optimizer})
    start = trained_a_step(made(config, days[0]), days[0])
    model, warm = taken_over(config, days, start_from(start, days[0], tmp_path))
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


def test_without_the_option_the_optimizer_starts_anew(days, tmp_path):
    config = configure()
    start = trained_a_step(made(config, days[0]), days[0])
    model, warm = taken_over(config, days, start_from(start, days[0], tmp_path))
    compile_model(model)
    model.optimizer.build(model.trainable_variables)
    warm.take_moments(model.optimizer)
    assert int(model.optimizer.iterations) == 0
    assert not np.any(adam_moments(model.optimizer, model.tables["item"].embeddings)[0])


def test_dice_keeps_its_statistics(days, tmp_path):
    config = configure()
    start = trained_a_step(made(config, days[0]), days[0])
    model, _ = taken_over(config, days, start_from(start, days[0], tmp_path))
    pairs = list(zip(start.mlp.activations, model.mlp.activations, strict=True))
    pairs += zip(start.attention["clicks"].activations, model.attention["clicks"].activations, strict=True)
    for old, new in pairs:
        assert np.any(old.moving)
        np.testing.assert_array_equal(new.moving, old.moving)


def test_a_new_feature_starts_with_weight_0_and_the_rest_is_kept(days, tmp_path):
    """The start model reads neither the user nor the price; so the model scores as it did, until it learns what they are worth."""
    small = configure(user={}, context={})
    start = with_large_weights(made(small, days[0]))
    model, warm = taken_over(configure(), days, start_from(start, days[0], tmp_path))
    np.testing.assert_allclose(scores(model, days[1], OLD_IDS), scores(start, days[0], OLD_IDS), rtol=1e-6)
    assert warm.report["vocabularies"]["user_id"] == {"kept": 0, "new": 3, "dropped": 0}
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    assert reasons == {
        "embedding_user_id": "the start model does not have it",
        "mlp/dense_0/kernel": "its inputs have changed (price, user_id/2 start with weight 0); the others are kept",
    }


@pytest.mark.parametrize(
    "kind, new",
    [
        ("sum", ""),
        (
            "inner",
            "<candidate_category_id, historical_category_ids>, <candidate_category_id, sum of historical_category_ids>, "
            "<candidate_item_id, historical_item_ids>, <candidate_item_id, sum of historical_item_ids>, ",
        ),
        ("elementwise", "candidate_category_id * sum of historical_category_ids/2, candidate_item_id * sum of historical_item_ids/4, "),
    ],
)
def test_new_interactions_start_with_weight_0_and_old_ones_are_dropped(days, tmp_path, kind, new):
    """The start model has other interactions: the model scores as it did, until it learns what the new ones mean."""
    start = with_large_weights(made(configure({"interactions": "none"}), days[0]))
    model, warm = taken_over(configure({"interactions": kind}), days, start_from(start, days[0], tmp_path))
    np.testing.assert_allclose(scores(model, days[1], OLD_IDS), scores(start, days[0], OLD_IDS), rtol=1e-5)
    sums = "sum of historical_category_ids/2, sum of historical_item_ids/4, sum of historical_time_gaps"
    change = f"its inputs have changed ({new}{sums} start with weight 0); the others are kept"
    assert warm.report["not_kept"] == [{"what": "mlp/dense_0/kernel", "why": change}]
    back, warm = taken_over(configure({"interactions": "none"}), days, start_from(model, days[1], tmp_path))
    assert warm.report["not_kept"] == [{"what": "mlp/dense_0/kernel", "why": change.replace("start with weight 0", "are gone")}]
    np.testing.assert_array_equal(back.mlp.dense[0].kernel, start.mlp.dense[0].kernel)


def test_a_cross_network_starts_new_inputs_with_weight_0(days, tmp_path):
    """Its matrices have the model's inputs on both sides, in another order here: rows and columns are found by name."""
    start = with_large_weights(made(configure({"kind": "dcn"}, user={}), days[0]))
    model, warm = taken_over(configure({"kind": "dcn"}), days, start_from(start, days[0], tmp_path))
    np.testing.assert_allclose(scores(model, days[1], OLD_IDS), scores(start, days[0], OLD_IDS), rtol=1e-5)
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    change = "its inputs have changed (user_id/2 start with weight 0); the others are kept"
    assert {f"cross_network/cross_{i}/{name}": change for i in range(3) for name in ("kernel", "bias")}.items() <= reasons.items()
    old, new = (np.array(m.cross_network.dense[0].kernel) for m in (start, model))
    # 4 numbers of the candidate, 2 of its category, 4, 2 and 1 of the history; then the user, 2; then the price
    kept = [*range(13), 15]
    np.testing.assert_array_equal(new[np.ix_(kept, kept)], old)
    assert not new[13:15].any() and not new[:, 13:15].any()


def test_a_transformer_is_taken_over_whole_or_not_at_all(days, tmp_path):
    """An event without its time has another size. With the same events, a longer history has more positions."""
    start = with_large_weights(made(configure({"kind": "bst"}), days[0]))
    start_model = start_from(start, days[0], tmp_path)
    _, warm = taken_over(configure({"kind": "bst"}, time_gap=False), days, start_model)
    place = "transformer_clicks of historical_item_ids/4, historical_category_ids/2"
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    assert reasons[f"{place}/attention/query/kernel"] == "the start model does not have it"
    longer, warm = taken_over(configure({"kind": "bst"}, history_length=4), days, start_model)
    place += ", historical_time_gaps/1"
    assert [row["what"] for row in warm.report["not_kept"]] == [f"{place}/positions"]
    old, new = (np.array(m.transformers["clicks"].positions) for m in (start, longer))
    np.testing.assert_array_equal(new, [*old, np.zeros(7)])


def test_tables_without_a_vocabulary_are_taken_over_row_by_row(days, tmp_path):
    """Buckets, hashes and positions, if there are as many as before."""

    def config(hashes):
        context = {
            "age": {"kind": "bucketized", "boundaries": [18, 30], "dim": 2},
            "query": {"kind": "hashed", "buckets": hashes, "dim": 2},
        }
        return configure({"kind": "wide_deep"}, context=context, position={"slot": {"positions": 3}})

    start = with_large_weights(made(config(5), days[0]))
    model, warm = taken_over(config(6), days, start_from(start, days[0], tmp_path))
    for name, tables in (("age", 2), ("slot", 1)):
        pairs = list(zip(start.tables_of(name), model.tables_of(name), strict=True))
        assert len(pairs) == tables
        for old, new in pairs:
            np.testing.assert_array_equal(new.embeddings, old.embeddings)
    assert {"embedding_age", "weights_age", "embedding_slot"} <= set(warm.report["kept"])
    assert warm.report["not_kept"] == [{"what": "embedding_query", "why": "it had 7 rows and has 8"}]
    assert set(warm.report["vocabularies"]) == {"item", "category", "user_id"}


def test_a_feature_that_is_gone_leaves_the_other_rows_in_their_places(days, tmp_path):
    start = with_large_weights(made(configure({"interactions": "none"}), days[0]))
    model, warm = taken_over(configure({"interactions": "none"}, user={}), days, start_from(start, days[0], tmp_path))
    old, new = (np.array(m.mlp.dense[0].kernel) for m in (start, model))
    # 4 numbers of the candidate, 2 of its category, 4, 2 and 1 of the history, 2 of the user, the price
    np.testing.assert_array_equal(new, old[[*range(13), 15]])
    assert [row["what"] for row in warm.report["not_kept"]] == ["mlp/dense_0/kernel"]


def test_a_changed_network_keeps_what_fits_and_names_the_rest(days, tmp_path):
    start = with_large_weights(made(configure(), days[0]))
    larger = {"item": BEHAVIOURS["item"] | {"dim": 6}, "category": BEHAVIOURS["category"] | {"oov_buckets": 3}}
    config = configure({"hidden": [5, 4], "activation": "prelu"}, behaviours=larger)
    model, warm = taken_over(config, days, start_from(start, days[0], tmp_path))
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    assert reasons["embedding_item"] == "the embedding size was 4 and is 6"
    assert warm.report["vocabularies"]["item"]["kept"] == 0 < warm.report["vocabularies"]["category"]["kept"]
    assert reasons["mlp/dense_1/kernel"] == "its shape was (5, 3) and is (5, 4)"
    assert reasons["mlp/activation_0/alpha"] == "the activation has changed"
    assert "historical_item_ids/4 are gone" in reasons["mlp/dense_0/kernel"]
    np.testing.assert_array_equal(model.mlp.dense[0].bias, start.mlp.dense[0].bias)
    assert {"embedding_category", "embedding_user_id", "mlp/dense_0/bias"} <= set(warm.report["kept"])
    categories, old = (np.array(m.tables["category"].embeddings) for m in (model, start))
    np.testing.assert_array_equal(categories[4:], np.repeat(old[4:5], 3, axis=0))


def test_another_kind_of_model_keeps_the_embeddings_alone(days, tmp_path):
    start = with_large_weights(made(configure(), days[0]))
    model, warm = taken_over(configure({"kind": "deepfm"}), days, start_from(start, days[0], tmp_path))
    assert warm.report["kept"] == ["embedding_item", "embedding_category", "embedding_user_id"]
    assert {row["what"] for row in warm.report["not_kept"]} == {"weights_item", "weights_category", "weights_user_id", "the network"}
    np.testing.assert_array_equal(model.tables["user_id"].embeddings[2], start.tables["user_id"].embeddings[2])


def test_counts_of_the_regularisation_are_those_of_the_new_data(days, tmp_path):
    config = configure(training={"regularization": 0.1})
    start = with_large_weights(made(config, days[0]))
    model = made(config, days[1])
    initialise_tables(model, days[1])
    WarmStart(model, days[1], start_from(start, days[0], tmp_path), {}).take_over([])
    np.testing.assert_array_equal(model.tables["item"].counts, [0, 4, 3, 3, 1, 0, 0, 0, 0])


def test_embeddings_of_a_file_are_for_new_ids_and_for_tables_that_training_does_not_change(days, tmp_path):
    config = configure()
    start = with_large_weights(made(config, days[0]))
    model = made(config, days[1])
    before = np.array(model.tables["item"].embeddings)
    WarmStart(model, days[1], start_from(start, days[0], tmp_path), {"item": {1, 2}}).take_over([])
    after = np.array(model.tables["item"].embeddings)
    np.testing.assert_array_equal(after[1], np.array(start.tables["item"].embeddings)[3])
    np.testing.assert_array_equal(after[2], before[2])


def test_a_file_that_is_no_model_is_one_sentence(days, tmp_path):
    (tmp_path / "start.keras").write_bytes(b"no zip file")
    start = StartModel(tmp_path / "start.keras", Path(days[0].transform_savedmodel_dir).parent)
    with pytest.raises(NoStart, match=r"start\.keras cannot be read .*training\.warm_start = 'none'") as error:
        taken_over(configure(), days, start)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("with_moments", [False, True])
def test_a_start_model_with_code_in_it_executes_nothing(days, tmp_path, with_moments):
    """A Lambda layer is Python code in a file: Keras' safe mode refuses it, with the optimizer and without."""
    trace = tmp_path / "executed"
    inputs = keras.Input((2,))
    code = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")  # without a closure, which Keras does not read back
    hostile = keras.Model(inputs, keras.layers.Lambda(code)(inputs))
    hostile.compile("adam", "mse")
    start = start_from(hostile, days[0], tmp_path)
    trace.unlink()  # to build the model executes it, too
    with pytest.raises(NoStart, match=r"start\.keras cannot be read .*Lambda"):
        taken_over(configure(training={"warm_moments": with_moments}), days, start)
    assert not trace.exists()
    keras.models.load_model(start.model_file, safe_mode=False)
    assert trace.exists()  # without the safe mode it would have been executed
