"""The work of a run, counted by hand."""

import pytest

from pipeline.configuration.load_config import load_config
from pipeline.plan.workload import Workload, table_rows

SMALL_LAYERS = ["model.hidden=[8]", "model.attention_hidden=[4]", "training.batch_size=100"]


def work(*settings: str, impressions: int = 10_000, history: float = 3, **rows: int) -> Workload:
    config = load_config(None, [*SMALL_LAYERS, *settings])
    return Workload(config, impressions, history, table_rows(config, impressions, rows))


def test_the_values_of_an_impression_are_its_ids_and_three_lists_of_events():
    # user, item, category, label, timestamp, request id; 3 events with item, category and time
    assert work().values == 6 + 3 * 3


def test_tags_and_vectors_have_as_many_values_as_they_are_long():
    tags = [f"features.user.interests.{setting}" for setting in ("kind=tags", "most=5", "weights=interest_weights")]
    vector = ["features.candidate.face.kind=vector", "features.candidate.face.size=64"]
    assert work(*tags, *vector).values == 15 + 2 * 5 + 64


def test_an_epoch_counts_steps_floats_and_products():
    epoch = work().epoch  # 8,000 train impressions of 10,000
    inputs = 16 * 5 + 16 * 2 + 4  # user, item, category, both histories, 16 numbers each; their means; two inner products for each
    mlp = inputs * 8 + 8  # 8 units; 1
    attention = 32 * 4 + 3 * (64 * 4 + 4)  # the candidate once; each event with its product with the candidate; 4 units; 1
    assert epoch == {
        "epochs": 1,
        "steps": 80,
        "impressions": 8_000,
        "floats": 8_000 * (3 * 16 + 3 * 2 * 16),  # of tables: interactions look nothing up
        "products": 8_000 * (mlp + attention),
        "saved": 16 * (100 + 10 + 10),
    }


def test_a_base_model_has_no_attention():
    assert work("model.kind=base").epoch["products"] == 8_000 * (16 * 5 * 8 + 8)


def test_impressions_that_fit_are_kept_in_memory_with_histories_at_full_length():
    # 6 + 3 · 10 values of 4 bytes for each of the 9,000 impressions of train/ and validation/
    assert work().packed_mb == pytest.approx(36 * 4 * 9_000 / 1e6)
    assert work("training.memory_mb=1.297").in_memory
    assert not work("training.memory_mb=1.295").in_memory


def test_rows_are_given_fixed_or_guessed():
    hashed = ["features.context.place.kind=hashed", "features.context.place.buckets=50"]
    assert work(*hashed, item=7).rows == {"item": 7, "category": 10, "user_id": 100, "place": 52}


def test_feature_importance_draws_no_more_than_the_setting_and_its_own_bound():
    assert work().drawn == 1_000  # all of eval/
    assert work(impressions=10**6).drawn == 20_000
    assert work("evaluation.importance.impressions=100000", impressions=10**7).drawn == pytest.approx(200_000 / 6)
