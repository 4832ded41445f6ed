"""What a feature definition refuses, what follows from one with several behaviour sequences, and what is kept in JSON."""

import pytest
from pydantic import ValidationError

from din_trainer.config import DINConfig
from din_trainer.features import FeatureConfig, gap_name
from din_trainer.kinds import KINDS

ITEM = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
CATEGORY = {"candidate": "candidate_category_id", "history": "historical_category_ids"}
CART = {"candidate": "candidate_item_id", "history": "cart_item_ids", "sequence": "cart"}


def configure(behaviours=None, **others):
    return FeatureConfig.model_validate({"behaviours": behaviours or {"item": ITEM}, **others})


TABLE = {"items": {"table": "items.csv", "key": "id", "of": "candidate_item_id"}}


def side(weight="", lookups=None, **feature):
    """A definition with the user feature `x`, beside `user_id` and the number `age`."""
    return configure(user={"user_id": {}, "age": {"kind": "numeric"}, "x": feature}, weight=weight, lookups=lookups or {})


def events(feature, name="x", sequence="clicks", **others):
    """A definition with a field of events."""
    return configure(events={sequence: {name: feature}}, **others)


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
    "behaviours.item.lookup names 'items', but features.lookups has no such table": lambda: configure(
        {"item": {**ITEM, "lookup": "items"}}
    ),
    "column names a column of a table: set lookup, too": lambda: configure({"item": {**ITEM, "column": "c"}}),
    # Kinds
    "kind must be one of categorical, tags, numeric, bucketized, hashed, vector, cross, time_gap": lambda: side(kind="tagz"),
    "a float feature has kind = 'numeric', 'bucketized' or 'vector'": lambda: side(dtype="float"),
    "a numeric feature has dtype 'int64' or 'float'": lambda: side(kind="numeric", dtype="bytes"),
    "clip must be two numbers, the lower first; received [2.0, 1.0]": lambda: side(kind="numeric", clip=[2, 1]),
    "clip must be two numbers, the lower first; received [0.0, 1e+301]": lambda: side(kind="numeric", clip=[0, 1e301]),
    "set boundaries, or buckets to 2 or more": lambda: side(kind="bucketized", buckets=1),
    "user.x.bucketized\n  Value error, set boundaries, or buckets": lambda: side(kind="bucketized", boundaries=[1, 2], buckets=2),
    "boundaries must ascend": lambda: side(kind="bucketized", boundaries=[1, 1]),
    "a cross has no dtype and no lookup: its features have them": lambda: side(kind="cross", of=["user_id", "age"], dtype="int64"),
    "a hashed cross has no vocabulary: set buckets, or min_count": lambda: side(
        kind="cross", of=["user_id", "age"], buckets=9, min_count=2
    ),
    "user.x.hashed.buckets\n  Field required": lambda: side(kind="hashed"),
    "user.x.vector.size\n  Field required": lambda: side(kind="vector"),
    "user.x.cross.of\n  Tuple should have at least 2 items": lambda: side(kind="cross", of=["user_id"]),
    "serving is position 50, but there are only 50 positions, from 0": lambda: configure(position={"rank": {"serving": 50}}),
    # Roles
    "user.user_id is one value, by which metrics and intervals group impressions: it cannot be of kind 'tags'": lambda: configure(
        user={"user_id": {"kind": "tags"}}
    ),
    "events.cart names no sequence: there are clicks": lambda: events({"kind": "numeric"}, sequence="cart"),
    "events.clicks.x is a cross, which an event cannot have": lambda: events({"kind": "cross", "of": ["user_id", "candidate_item_id"]}),
    "events.clicks.x has embed = false, but an event has no use for it: remove it": lambda: events({"embed": False}),
    "events.clicks.x is the time of an event, which only the data has: remove lookup": lambda: events(
        {"kind": "time_gap", "lookup": "items"}, lookups=TABLE
    ),
    "user.x is a time gap, which only events have: put it into features.events": lambda: side(kind="time_gap"),
    "events.clicks.x needs lengths: the column with the number of tags of each event": lambda: events({"kind": "tags"}),
    "user.x has lengths, which only events have": lambda: side(kind="tags", lengths="n"),
    # Crosses
    "user.x crosses 'age', which is no categorical, hashed or bucketized feature": lambda: side(kind="cross", of=["user_id", "age"]),
    "user.x crosses 'historical_item_ids', which is no categorical": lambda: side(kind="cross", of=["user_id", "historical_item_ids"]),
    "user.x crosses 'candidate_item_id' of the candidate, so it belongs to the candidate: features.candidate.x": lambda: side(
        kind="cross", of=["user_id", "candidate_item_id"]
    ),
    "user.x crosses a feature with itself": lambda: side(kind="cross", of=["user_id", "user_id"]),
    "user.x crosses 'city', which has embed = false, so that no request has it": lambda: configure(
        user={"user_id": {}, "city": {"embed": False}, "x": {"kind": "cross", "of": ["user_id", "city"]}}
    ),
    # Lookups
    "lookups.items.of names 'nope', which is no feature with one id that the data has": lambda: configure(
        lookups={"items": {**TABLE["items"], "of": "nope"}}
    ),
    "lookups.items.of names 'city', which has embed = false, so that no request has it": lambda: configure(
        user={"city": {"embed": False}}, lookups={"items": {**TABLE["items"], "of": "city"}}
    ),
    "user.x.lookup names 'items', but features.lookups has no such table": lambda: side(lookup="items"),
    "user.x is looked up by 'candidate_item_id', so it belongs to features.candidate": lambda: side(lookup="items", lookups=TABLE),
    "events.clicks.x is looked up by 'user_id', but the sequence 'clicks' has no ids of it": lambda: events(
        {"kind": "numeric", "dtype": "float", "lookup": "items"}, lookups={"items": {**TABLE["items"], "of": "user_id"}}
    ),
    "events.clicks.x is looked up for events, where a missing integer cannot be written: set dtype = 'float'": lambda: events(
        {"kind": "numeric", "lookup": "items"}, lookups=TABLE
    ),
    # Labels and names
    "label 'a b' cannot name an output of a signature": lambda: configure(labels=["a b"]),
    "labels names a label twice": lambda: configure(labels=["click", "click"]),
    "feature 'user_id' is declared twice or reserved ": lambda: configure(labels=["click", "user_id"]),
    "feature 'at_gap' is declared twice or reserved": lambda: events({"kind": "time_gap"}, name="at", context={"at_gap": {}}),
    "feature 'n' is declared twice or reserved": lambda: events({"kind": "tags", "lengths": "n"}, context={"n": {}}),
    "feature 'w' is declared twice or reserved": lambda: side(kind="tags", weights="w", weight="w"),
    "feature 'rank' is declared twice or reserved": lambda: configure(position={"rank": {}}, context={"rank": {}}),
    "'item' names a behaviour and another feature": lambda: configure(position={"item": {}}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_contradictory_definition_is_refused(message):
    with pytest.raises(ValidationError) as error:
        REFUSED[message]()
    assert message.strip() in str(error.value)


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


EVERY_KIND = {
    "categorical": {"dtype": "bytes", "min_count": 2, "oov_buckets": 3, "embeddings": "e.npz", "trainable": False, "dim": 4},
    "tags": {"dtype": "bytes", "weights": "w", "combine": "sqrtn", "most": 3, "dim": 4},
    "numeric": {"dtype": "float", "scale": "quantile", "clip": (-1.5, 2.0), "indicator": True},
    "bucketized": {"dtype": "float", "boundaries": (0.5, 1.0, 7.25), "dim": 4},
    "hashed": {"dtype": "bytes", "buckets": 100, "dim": 4},
    "vector": {"size": 3, "units": 2},
    "cross": {"of": ("user_id", "candidate_item_id"), "min_count": 2, "dim": 4},
    "time_gap": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_json(kind):
    settings = {"kind": kind, **EVERY_KIND[kind]}
    features = events(settings, name="at") if kind == "time_gap" else configure(candidate={"x": settings})
    dumped = features.model_dump(mode="json")
    again = FeatureConfig.model_validate(dumped)
    assert (
        again
        == features
        == FeatureConfig.model_validate_json(features.model_dump_json())
        == FeatureConfig.model_validate(features.model_dump(mode="python"))
    )
    found = again.events["clicks"]["at"] if kind == "time_gap" else again.candidate["x"]
    assert {name: getattr(found, name) for name in settings} == settings


def test_the_whole_definition_survives_json():
    candidate = {f"a_{kind}": {"kind": kind, **settings} for kind, settings in EVERY_KIND.items() if kind != "time_gap"}
    features = configure(
        candidate=candidate,
        events={
            "clicks": {"at": {"kind": "time_gap"}, "likes": {"kind": "tags", "lengths": "n"}, "price": {"lookup": "items", "column": "p"}}
        },
        position={"rank": {"positions": 9, "serving": 3, "tower": "mlp"}},
        lookups={"items": {**TABLE["items"], "valid_from": "since"}},
        labels=["click", "purchase"],
        time_gap=True,
        weight="importance",
    )
    assert FeatureConfig.model_validate(features.model_dump(mode="json")) == features


def test_the_configuration_of_an_older_export_is_read():
    """Before there were kinds, `assets.extra/din.json` had the keys of a vocabulary in each feature, also in numbers."""
    feature = {"dtype": "int64", "dim": 16, "min_count": 1, "oov_buckets": 1, "embeddings": "", "trainable": True, "kind": "categorical"}
    behaviour = {**feature, "sequence": "clicks", "vocabulary": ""}
    del behaviour["kind"]
    old = {
        "features": {
            "history_length": 10,
            "time_gap": True,
            "weight": "importance",
            "behaviours": {"item": {**behaviour, **ITEM}, "category": {**behaviour, **CATEGORY, "dim": 8}},
            "user": {"user_id": {**feature, "min_count": 2}},
            "context": {"hour": {**feature, "kind": "numeric"}, "price": {**feature, "kind": "numeric", "dtype": "float"}, "city": feature},
        },
        "model": {
            "kind": "din", "history": True, "attention_hidden": [80, 40], "attention_softmax": False, "hidden": [128, 64, 32],
            "activation": "dice", "dropout": 0.1, "embedding_scale": 0.05,
        },
    }  # fmt: skip
    features = DINConfig.model_validate(old).features
    assert {name: (f.kind, f.dtype) for name, f in features.side.items()} == {
        "user_id": ("categorical", "int64"),
        "hour": ("numeric", "int64"),
        "price": ("numeric", "float"),
        "city": ("categorical", "int64"),
    }
    assert (features.user["user_id"].min_count, features.behaviours["category"].dim) == (2, 8)
    assert (features.context["price"].scale, features.context["price"].clip, features.context["price"].indicator) == ("zscore", None, False)
    assert [column.name for column in features.columns] == [
        "user_id", "candidate_item_id", "candidate_category_id", "historical_item_ids", "historical_category_ids", "historical_timestamps",
        "timestamp", "hour", "price", "city",
    ]  # fmt: skip


def test_the_columns_of_a_definition_with_every_role():
    features = configure(
        user={"user_id": {"embed": False}, "likes": {"kind": "tags", "dtype": "bytes", "weights": "like_weights"}},
        candidate={"price": {"kind": "numeric", "dtype": "float"}, "brand": {"lookup": "items"}},
        events={"clicks": {"seen": {"kind": "tags", "lengths": "seen_counts"}, "image": {"kind": "vector", "size": 3}}},
        context={"day": {"kind": "cross", "of": ["hour", "device"]}, "hour": {}, "device": {}},
        position={"rank": {}},
        lookups=TABLE,
        labels=["click", "purchase"],
        weight="importance",
    )
    assert [(c.name, c.dtype, c.role, c.presence, c.width, c.is_number) for c in features.columns] == [
        ("likes", "bytes", "user", "optional", None, False),
        ("like_weights", "float", "user", "optional", None, True),
        ("candidate_item_id", "int64", "candidate", "required", 1, False),
        ("price", "float", "candidate", "optional", 1, True),
        ("historical_item_ids", "int64", "behaviour", "sequence", 1, False),
        ("seen", "int64", "behaviour", "sequence", None, False),
        ("seen_counts", "int64", "behaviour", "sequence", 1, True),
        ("image", "float", "behaviour", "sequence", 3, True),
        ("hour", "int64", "context", "optional", 1, False),
        ("device", "int64", "context", "optional", 1, False),
    ]
    assert [(c.name, c.presence) for c in features.kept_columns] == [
        ("user_id", "required"), ("rank", "optional"), ("importance", "required"), ("purchase", "required")
    ]  # fmt: skip
    assert [c.name for c in features.joined_columns] == ["brand"]
    assert [c.name for c in features.aligned_columns["clicks"]] == ["historical_item_ids", "seen", "seen_counts", "image"]
    assert list(features.vocabularies) == ["item", "likes", "brand", "seen", "day", "hour", "device"]


def test_time_gaps_have_names_of_their_own():
    assert gap_name("historical_timestamps") == "historical_time_gaps"
    assert gap_name("cart_times") == "cart_times_gap"
