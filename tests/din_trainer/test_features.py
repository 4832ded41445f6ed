"""What a feature definition refuses, and what follows from one with several behaviour sequences."""

import pytest
from pydantic import ValidationError

from din_trainer.features import FeatureConfig

ITEM = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
CATEGORY = {"candidate": "candidate_category_id", "history": "historical_category_ids"}
CART = {"candidate": "candidate_item_id", "history": "cart_item_ids", "sequence": "cart"}


def configure(behaviours=None, **others):
    return FeatureConfig.model_validate({"behaviours": behaviours or {"item": ITEM}, **others})


REFUSED = {
    "behaviours.cart.vocabulary names 'itme', which has no vocabulary of its own": lambda: configure(
        {"item": ITEM, "cart": {**CART, "vocabulary": "itme"}}
    ),
    "behaviours.late.vocabulary names 'cart', which has no vocabulary of its own": lambda: configure(
        {"item": ITEM, "cart": {**CART, "vocabulary": "item"}, "late": {**CART, "history": "late", "vocabulary": "cart"}}
    ),
    "behaviours 'item' and 'cart' share 'candidate_item_id', so give one the other's vocabulary": lambda: configure(
        {"item": ITEM, "cart": CART}
    ),
    "dim belongs to the vocabulary 'item': set it there": lambda: configure(
        {"item": ITEM, "cart": {**CART, "vocabulary": "item", "dim": 8}}
    ),
    "trainable = false needs embeddings to keep": lambda: configure({"item": {**ITEM, "trainable": False}}),
    "feature 'user_id' is declared twice or reserved": lambda: configure(weight="user_id"),
    "feature 'historical_item_ids' is declared twice or reserved": lambda: configure(weight="historical_item_ids"),
    "feature 'label' is declared twice or reserved": lambda: configure(weight="label"),
    "feature 'timestamp' is declared twice or reserved": lambda: configure(time_gap=True, context={"timestamp": {"kind": "numeric"}}),
    "feature 'sample_weight' is declared twice or reserved": lambda: configure(context={"sample_weight": {"kind": "numeric"}}),
    "feature 'historical_time_gaps' is declared twice or reserved": lambda: configure(
        {"item": {**ITEM, "history": "historical_time_gaps"}}
    ),
    "String should match pattern": lambda: configure({"item": {**ITEM, "sequence": "a/b"}}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_contradictory_definition_is_refused(message):
    with pytest.raises(ValidationError) as error:
        REFUSED[message]()
    assert message in str(error.value)


def test_a_vocabulary_is_shared_by_the_fields_that_say_so():
    features = configure({"item": ITEM, "category": CATEGORY, "cart": {**CART, "vocabulary": "item"}}, user={"user_id": {}})
    assert list(features.vocabularies) == ["item", "category", "user_id"]
    assert features.vocabulary_by_feature == {
        "user_id": "user_id",
        "candidate_item_id": "item",
        "historical_item_ids": "item",
        "candidate_category_id": "category",
        "historical_category_ids": "category",
        "cart_item_ids": "item",
    }
    assert {sequence: list(behaviours) for sequence, behaviours in features.sequences.items()} == {
        "clicks": ["item", "category"],
        "cart": ["cart"],
    }


def test_a_shared_candidate_is_one_column_of_the_vocabulary_s_type():
    features = configure({"item": {**ITEM, "dtype": "bytes"}, "cart": {**CART, "vocabulary": "item"}}, time_gap=True)
    assert [(column.name, column.dtype, column.presence) for column in features.columns] == [
        ("user_id", "int64", "required"),
        ("candidate_item_id", "bytes", "required"),
        ("historical_item_ids", "bytes", "sequence"),
        ("cart_item_ids", "bytes", "sequence"),
        ("historical_timestamps", "int64", "sequence"),
        ("timestamp", "int64", "required"),
    ]


def test_the_weight_is_not_an_input_of_the_model():
    assert "sample_weight" not in [column.name for column in configure(weight="sample_weight").columns]


def test_behaviours_of_several_sequences_survive_json():
    features = configure({"item": {**ITEM, "dim": 8}, "cart": {**CART, "vocabulary": "item"}}, time_gap=True, weight="importance")
    assert FeatureConfig.model_validate_json(features.model_dump_json()) == features


@pytest.mark.parametrize("name", ["a-b", "cart.n", "1st", "_x", "user age", "ü", "self"])
def test_a_name_that_a_signature_cannot_have_is_refused(name):
    with pytest.raises(ValueError, match="cannot be an input of a signature"):
        FeatureConfig.model_validate({"context": {name: {}}})


def test_names_that_differ_only_in_case_are_refused():
    with pytest.raises(ValueError, match="'Hour', 'hour' differ only in case"):
        FeatureConfig.model_validate({"context": {"hour": {}, "Hour": {}}})
