"""A warm start into a model with other features, interactions or layers keeps what fits, and names what it does not keep."""

import numpy as np
import pytest

from tests.din_trainer.training.warm_start.starting import BEHAVIOURS, OLD_IDS, configure, made, scores, start_from, taken_over
from tests.transforming import with_large_weights


def test_a_new_feature_starts_with_weight_0_and_the_rest_is_kept(two_days, tmp_path):
    """The start model reads neither the user nor the price; so the model scores as it did, until it learns what they are worth."""
    small = configure(user={}, context={})
    start = with_large_weights(made(small, two_days[0]))
    model, warm = taken_over(configure(), two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_allclose(scores(model, two_days[1], OLD_IDS), scores(start, two_days[0], OLD_IDS), rtol=1e-6)
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
def test_new_interactions_start_with_weight_0_and_old_ones_are_dropped(two_days, tmp_path, kind, new):
    """The start model has other interactions: the model scores as it did, until it learns what the new ones mean."""
    start = with_large_weights(made(configure({"interactions": "none"}), two_days[0]))
    model, warm = taken_over(configure({"interactions": kind}), two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_allclose(scores(model, two_days[1], OLD_IDS), scores(start, two_days[0], OLD_IDS), rtol=1e-5)
    sums = "sum of historical_category_ids/2, sum of historical_item_ids/4, sum of historical_time_gaps"
    change = f"its inputs have changed ({new}{sums} start with weight 0); the others are kept"
    assert warm.report["not_kept"] == [{"what": "mlp/dense_0/kernel", "why": change}]
    back, warm = taken_over(configure({"interactions": "none"}), two_days, start_from(model, two_days[1], tmp_path))
    assert warm.report["not_kept"] == [{"what": "mlp/dense_0/kernel", "why": change.replace("start with weight 0", "are gone")}]
    np.testing.assert_array_equal(back.mlp.dense[0].kernel, start.mlp.dense[0].kernel)


def test_a_cross_network_starts_new_inputs_with_weight_0(two_days, tmp_path):
    """Its matrices have the model's inputs on both sides, in another order here: rows and columns are found by name."""
    start = with_large_weights(made(configure({"kind": "dcn"}, user={}), two_days[0]))
    model, warm = taken_over(configure({"kind": "dcn"}), two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_allclose(scores(model, two_days[1], OLD_IDS), scores(start, two_days[0], OLD_IDS), rtol=1e-5)
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    change = "its inputs have changed (user_id/2 start with weight 0); the others are kept"
    assert {f"cross_network/cross_{i}/{name}": change for i in range(3) for name in ("kernel", "bias")}.items() <= reasons.items()
    old, new = (np.array(m.cross_network.dense[0].kernel) for m in (start, model))
    # 4 numbers of the candidate, 2 of its category, 4, 2 and 1 of the history; then the user, 2; then the price
    kept = [*range(13), 15]
    np.testing.assert_array_equal(new[np.ix_(kept, kept)], old)
    assert not new[13:15].any() and not new[:, 13:15].any()


def test_a_transformer_is_taken_over_whole_or_not_at_all(two_days, tmp_path):
    """An event without its time has another size. With the same events, a longer history has more positions."""
    start = with_large_weights(made(configure({"kind": "bst"}), two_days[0]))
    start_model = start_from(start, two_days[0], tmp_path)
    _, warm = taken_over(configure({"kind": "bst"}, time_gap=False), two_days, start_model)
    place = "transformer_clicks of historical_item_ids/4, historical_category_ids/2"
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    assert reasons[f"{place}/attention/query/kernel"] == "the start model does not have it"
    longer, warm = taken_over(configure({"kind": "bst"}, history_length=4), two_days, start_model)
    place += ", historical_time_gaps/1"
    assert [row["what"] for row in warm.report["not_kept"]] == [f"{place}/positions"]
    old, new = (np.array(m.transformers["clicks"].positions) for m in (start, longer))
    np.testing.assert_array_equal(new, [*old, np.zeros(7)])


def test_tables_without_a_vocabulary_are_taken_over_row_by_row(two_days, tmp_path):
    """Buckets, hashes and positions, if there are as many as before."""

    def config(hashes):
        context = {
            "age": {"kind": "bucketized", "boundaries": [18, 30], "dim": 2},
            "query": {"kind": "hashed", "buckets": hashes, "dim": 2},
        }
        return configure({"kind": "wide_deep"}, context=context, position={"slot": {"positions": 3}})

    start = with_large_weights(made(config(5), two_days[0]))
    model, warm = taken_over(config(6), two_days, start_from(start, two_days[0], tmp_path))
    for name, tables in (("age", 2), ("slot", 1)):
        pairs = list(zip(start.tables_of(name), model.tables_of(name), strict=True))
        assert len(pairs) == tables
        for old, new in pairs:
            np.testing.assert_array_equal(new.embeddings, old.embeddings)
    assert {"embedding_age", "weights_age", "embedding_slot"} <= set(warm.report["kept"])
    assert warm.report["not_kept"] == [{"what": "embedding_query", "why": "it had 7 rows and has 8"}]
    assert set(warm.report["vocabularies"]) == {"item", "category", "user_id"}


def test_a_feature_that_is_gone_leaves_the_other_rows_in_their_places(two_days, tmp_path):
    start = with_large_weights(made(configure({"interactions": "none"}), two_days[0]))
    model, warm = taken_over(configure({"interactions": "none"}, user={}), two_days, start_from(start, two_days[0], tmp_path))
    old, new = (np.array(m.mlp.dense[0].kernel) for m in (start, model))
    # 4 numbers of the candidate, 2 of its category, 4, 2 and 1 of the history, 2 of the user, the price
    np.testing.assert_array_equal(new, old[[*range(13), 15]])
    assert [row["what"] for row in warm.report["not_kept"]] == ["mlp/dense_0/kernel"]


def test_a_changed_network_keeps_what_fits_and_names_the_rest(two_days, tmp_path):
    start = with_large_weights(made(configure(), two_days[0]))
    larger = {"item": BEHAVIOURS["item"] | {"dim": 6}, "category": BEHAVIOURS["category"] | {"oov_buckets": 3}}
    config = configure({"hidden": [5, 4], "activation": "prelu"}, behaviours=larger)
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
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


def test_another_kind_of_model_keeps_the_embeddings_alone(two_days, tmp_path):
    start = with_large_weights(made(configure(), two_days[0]))
    model, warm = taken_over(configure({"kind": "deepfm"}), two_days, start_from(start, two_days[0], tmp_path))
    assert warm.report["kept"] == ["embedding_item", "embedding_category", "embedding_user_id"]
    assert {row["what"] for row in warm.report["not_kept"]} == {"weights_item", "weights_category", "weights_user_id", "the network"}
    np.testing.assert_array_equal(model.tables["user_id"].embeddings[2], start.tables["user_id"].embeddings[2])
