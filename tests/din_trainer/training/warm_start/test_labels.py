"""A warm start with several labels: towers are found by the names of their labels."""

import numpy as np
import pytest

from din_trainer.models.make_model import MODELS
from tests.din_trainer.training.warm_start.starting import OLD_IDS, configure, made, scores, start_from, taken_over
from tests.transforming import with_large_weights

BOTH = {"labels": ["click", "purchase"]}
ROWS = [row | {"purchase": 0} for row in OLD_IDS]


@pytest.mark.parametrize(("kind", "towers"), [*((kind, "shared") for kind in MODELS), ("din", "mmoe")])
def test_scores_of_all_labels_are_kept_to_the_last_bit(two_days, tmp_path, kind, towers):
    config = configure({"kind": kind, "towers": towers, "esmm": True}, **BOTH)
    start = with_large_weights(made(config, two_days[0]))
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    before = scores(start, two_days[0], ROWS)
    assert before.shape == (3, 2) and len(np.unique(before)) == 6
    np.testing.assert_array_equal(scores(model, two_days[1], ROWS), before)
    assert warm.report["not_kept"] == []


def test_a_new_input_starts_with_weight_0_in_experts_and_gates(two_days, tmp_path):
    small, config = (configure({"towers": "mmoe"}, **BOTH, **changed) for changed in ({"user": {}, "context": {}}, {}))
    start = with_large_weights(made(small, two_days[0]))
    model, warm = taken_over(config, two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_allclose(scores(model, two_days[1], ROWS), scores(start, two_days[0], ROWS), rtol=1e-5)
    kernels = [f"mlp/expert_{i}/dense_0/kernel" for i in range(4)] + ["mlp/gate_click/kernel", "mlp/gate_purchase/kernel"]
    assert {row["what"] for row in warm.report["not_kept"]} == {"embedding_user_id", *kernels}


def test_a_second_label_keeps_the_shared_layers_and_its_tower_starts_at_random(two_days, tmp_path):
    start = with_large_weights(made(configure(), two_days[0]))
    model, warm = taken_over(configure(**BOTH), two_days, start_from(start, two_days[0], tmp_path))
    np.testing.assert_array_equal(model.mlp.dense[0].kernel, start.mlp.dense[0].kernel)
    reasons = {row["what"]: row["why"] for row in warm.report["not_kept"]}
    assert {place.split("/")[1] for place in reasons} == {"tower_click", "tower_purchase"}
    assert set(reasons.values()) == {"the start model does not have it"}


def test_labels_that_have_changed_places_find_their_towers_but_no_linear_model(two_days, tmp_path):
    """A column of the linear part would be another label's."""
    first, second = ({"labels": labels} for labels in (["click", "purchase"], ["purchase", "click"]))
    start = with_large_weights(made(configure({"kind": "wide_deep"}, **first), two_days[0]))
    model, warm = taken_over(configure({"kind": "wide_deep"}, **second), two_days, start_from(start, two_days[0], tmp_path))
    for old, new in zip(start.mlp.towers, reversed(model.mlp.towers), strict=True):
        assert old.name == new.name
        np.testing.assert_array_equal(new.dense[0].kernel, old.dense[0].kernel)
    places = [f"{place} of purchase, click" for place in ("linear/number_weights", "linear/bias", "product/kernel")]
    tables = ["weights_item", "weights_category", "weights_user_id"]
    assert {row["what"] for row in warm.report["not_kept"]} == {*places, *tables}
