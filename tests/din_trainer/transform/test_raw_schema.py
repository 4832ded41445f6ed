"""The schema that follows from a feature definition, as text."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from din_trainer.features import FeatureConfig
from din_trainer.transform.raw_schema import make_schema


def test_schema_by_hand():
    features = FeatureConfig.model_validate(
        {
            "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
            "user": {"user_id": {"dtype": "bytes"}},
            "context": {"price": {"kind": "numeric", "dtype": "float"}, "age": {}, "hour": {"kind": "numeric"}},
        }
    )
    expected = """
        feature { name: "user_id" type: BYTES presence { min_fraction: 1 min_count: 1 } shape {} }
        feature {
          name: "candidate_item_id" type: INT
          presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 is_categorical: true }
        }
        feature { name: "historical_item_ids" type: INT value_count { min: 0 } int_domain { min: 0 is_categorical: true } }
        feature { name: "price" type: FLOAT value_count { max: 1 } }
        feature { name: "age" type: INT value_count { max: 1 } int_domain { min: -1 is_categorical: true } }
        feature { name: "hour" type: INT value_count { max: 1 } }
        feature { name: "request_id" type: BYTES value_count { max: 1 } }
        feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 max: 1 } }
    """
    assert make_schema(features, {"request_id": "bytes", "surplus": "int64"}) == text_format.Parse(expected, schema_pb2.Schema())


def test_times_that_the_model_reads_and_weights_are_required():
    features = FeatureConfig.model_validate(
        {
            "behaviours": {
                "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes"},
                "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
            },
            "time_gap": True,
            "weight": "importance",
        }
    )
    expected = """
        feature { name: "user_id" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 is_categorical: true } }
        feature { name: "candidate_item_id" type: BYTES presence { min_fraction: 1 min_count: 1 } shape {} }
        feature { name: "historical_item_ids" type: BYTES value_count { min: 0 } }
        feature { name: "cart_item_ids" type: BYTES value_count { min: 0 } }
        feature { name: "historical_timestamps" type: INT value_count { min: 0 } int_domain { min: 0 } }
        feature { name: "timestamp" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 } }
        feature { name: "importance" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape {} }
        feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 max: 1 } }
    """
    extra = {"timestamp": "int64", "historical_timestamps": "int64"}
    assert make_schema(features, extra) == text_format.Parse(expected, schema_pb2.Schema())


def test_schema_of_every_kind():
    """Optional ids may be −1, numbers anything; tags are any number of values, vectors none or all; labels are 0 or 1; tables are in it."""
    features = FeatureConfig.model_validate(
        {
            "labels": ["click", "purchase"],
            "behaviours": {
                "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
                "shop": {"candidate": "candidate_shop", "history": "historical_shops", "lookup": "items"},
            },
            "user": {"user_id": {"embed": False}, "interests": {"kind": "tags", "weights": "interest_weights"}},
            "candidate": {
                "price": {"kind": "bucketized", "buckets": 4},
                "image": {"kind": "vector", "size": 3},
                "seller": {"kind": "hashed", "buckets": 9},
                "age": {"kind": "numeric", "lookup": "items"},
                "pair": {"kind": "cross", "of": ["seller", "price"]},
            },
            "events": {
                "clicks": {
                    "actions": {},
                    "words": {"kind": "tags", "dtype": "bytes", "lengths": "counts"},
                    "images": {"kind": "vector", "size": 3},
                    "times": {"kind": "time_gap"},
                }
            },
            "position": {"slot": {}},
            "lookups": {"items": {"table": "items.csv", "key": "id", "of": "candidate_item_id"}},
        }
    )
    expected = """
        feature { name: "interests" type: INT value_count { min: 0 } int_domain { min: -1 is_categorical: true } }
        feature { name: "interest_weights" type: FLOAT value_count { min: 0 } }
        feature {
          name: "candidate_item_id" type: INT
          presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 is_categorical: true }
        }
        feature { name: "price" type: INT value_count { max: 1 } }
        feature { name: "image" type: FLOAT value_count { max: 3 } }
        feature { name: "seller" type: INT value_count { max: 1 } int_domain { min: -1 is_categorical: true } }
        feature { name: "historical_item_ids" type: INT value_count { min: 0 } int_domain { min: 0 is_categorical: true } }
        feature { name: "actions" type: INT value_count { min: 0 } int_domain { min: -1 is_categorical: true } }
        feature { name: "words" type: BYTES value_count { min: 0 } }
        feature { name: "counts" type: INT value_count { min: 0 } int_domain { min: 0 } }
        feature { name: "images" type: FLOAT value_count { min: 0 } }
        feature { name: "times" type: INT value_count { min: 0 } int_domain { min: -1 } }
        feature { name: "timestamp" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 } }
        feature { name: "candidate_shop" type: INT value_count { max: 1 } int_domain { min: -1 is_categorical: true } }
        feature { name: "age" type: INT value_count { max: 1 } }
        feature { name: "historical_shops" type: INT value_count { min: 0 } int_domain { min: -1 is_categorical: true } }
        feature {
          name: "user_id" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 is_categorical: true }
        }
        feature { name: "slot" type: INT value_count { max: 1 } int_domain { min: 0 } }
        feature { name: "purchase" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 max: 1 } }
        feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape {} int_domain { min: 0 max: 1 } }
    """
    assert make_schema(features) == text_format.Parse(expected, schema_pb2.Schema())
