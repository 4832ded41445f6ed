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
