"""A feature definition with every kind in every role that it can have, an impression of it, and the same impression in each other form."""

from din_trainer.features import FeatureConfig

NAN = float("nan")
FEATURES = FeatureConfig.model_validate(
    {
        "labels": ["click", "purchase"],
        "weight": "weight",
        "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
        "user": {
            "user_id": {"embed": False},
            "interests": {"kind": "tags", "dtype": "bytes", "weights": "interest_weights", "most": 3},
            "face": {"kind": "vector", "size": 2},
            "ip": {"kind": "hashed", "dtype": "bytes", "buckets": 7},
        },
        "context": {"degrees": {"kind": "bucketized", "boundaries": [0, 10]}},
        "candidate": {
            "price": {"kind": "numeric", "dtype": "float", "clip": [0, 100]},
            "genres": {"kind": "tags"},
            "image": {"kind": "vector", "size": 2},
            "brand": {"dtype": "bytes"},
            "both": {"kind": "cross", "of": ["brand", "degrees"]},
        },
        "events": {
            "clicks": {
                "historical_prices": {"kind": "numeric", "dtype": "float"},
                "historical_actions": {},
                "historical_words": {
                    "kind": "tags", "dtype": "bytes", "lengths": "historical_word_counts", "weights": "historical_word_weights",
                },
                "historical_images": {"kind": "vector", "size": 2},
            }
        },
        "position": {"position": {"positions": 5}},
    }
)  # fmt: skip

ROW = {
    "interests": ["a", "b"], "interest_weights": [1.0, 3.0], "face": [1.0, 2.0], "ip": "::1\n", "degrees": -1,
    "candidate_item_id": 3, "price": 2.5, "genres": [4], "image": None, "brand": "x",
    "historical_item_ids": [1, 2], "historical_prices": [None, 2.5], "historical_actions": [-1, 3],
    "historical_words": [["x", "y"], []], "historical_word_weights": [[1.0, 2.0], []], "historical_images": [None, [1.0, 2.0]],
}  # fmt: skip

EXAMPLE = {
    "interests": [b"a", b"b"], "interest_weights": [1.0, 3.0], "face": [1.0, 2.0], "ip": [b"::1\n"], "degrees": [-1],
    "candidate_item_id": [3], "price": [2.5], "genres": [4], "brand": [b"x"],
    "historical_item_ids": [1, 2], "historical_prices": [NAN, 2.5], "historical_actions": [-1, 3],
    "historical_words": [b"x", b"y"], "historical_word_counts": [2, 0], "historical_word_weights": [1.0, 2.0],
    "historical_images": [NAN, NAN, 1.0, 2.0],
}  # fmt: skip

TENSORS = {  # of `predict`, with histories of three
    "interests": [[b"a", b"b", b""]], "interest_weights": [[1.0, 3.0, 0.0]], "face": [[1.0, 2.0]], "ip": [b"::1\n"], "degrees": [-1.0],
    "candidate_item_id": [3], "price": [2.5], "genres": [[4, *[-1] * 9]], "image": [[NAN, NAN]], "brand": [b"x"],
    "historical_item_ids": [[1, 2, -1]], "historical_prices": [[NAN, 2.5, NAN]], "historical_actions": [[-1, 3, -1]],
    "historical_words": [[[b"x", b"y", *[b""] * 8], [b""] * 10, [b""] * 10]],
    "historical_word_weights": [[[1.0, 2.0, *[0.0] * 8], [0.0] * 10, [0.0] * 10]],
    "historical_images": [[[NAN, NAN], [1.0, 2.0], [NAN, NAN]]],
}  # fmt: skip
TYPES = {
    "interest_weights": "float32", "face": "float32", "degrees": "float64", "candidate_item_id": "int64", "price": "float32",
    "genres": "int64", "image": "float32", "historical_item_ids": "int64", "historical_prices": "float32", "historical_actions": "int64",
    "historical_word_weights": "float32", "historical_images": "float32",
}  # fmt: skip
