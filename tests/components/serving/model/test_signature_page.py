"""What `signatures.md` says is what the SavedModel has."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from components.serving.model.signature_page import describe_signatures
from din_trainer.config import ORIGIN_FILE, DINConfig
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import dimension_names, inputs_of
from tests.components.serving.model import every_kind as every
from tests.components.serving.saved_models import save_model

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 7,
        "time_gap": True,
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes"},
        },
        "user": {"user_id": {}, "age_group": {"dtype": "bytes"}},
        "context": {"hour": {"kind": "numeric"}, "device": {}},
    }
)


def echo(name, spec, labels):
    """A signature that returns one of its inputs as float32, and ignores the others."""
    outputs = ["probability", *(f"probability_{label}" for label in labels[1:])]
    return tf.function(lambda **raw: {output: tf.cast(raw[name], tf.float32) for output in outputs}).get_concrete_function(**spec)


def tensor_spec(features, rank=False):
    """The inputs of a signature: what is open has no size."""

    def spec(read):
        sizes = [None if axis else read.column.width for axis in dimension_names(read, rank=rank)[1:]]
        return tf.TensorSpec([None, *sizes], tf.string if read.numpy is object else read.numpy, name=read.column.name)

    return {read.column.name: spec(read) for read in inputs_of(features)}


def save(folder, features, user="user_id"):
    signatures = {
        "predict": echo(user, tensor_spec(features), features.labels),
        "rank": echo("candidate_item_id", tensor_spec(features, rank=True), features.labels),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    (folder / ORIGIN_FILE).parent.mkdir()
    (folder / ORIGIN_FILE).write_text(json.dumps({"config": DINConfig(features=features).model_dump(mode="json")}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("export") / "1", FEATURES)


@pytest.fixture(scope="module")
def text(model):
    return describe_signatures(model, "demo")


def rows_below(text, heading):
    """The cells of the table below a heading."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]


def test_tensors_have_their_names_types_and_shapes(text):
    predict = {name: (side, dtype, shape) for name, side, dtype, shape in rows_below(text, "`predict`")}
    assert predict == {
        "`user_id`": ("input", "int64", "(B)"),
        "`age_group`": ("input", "string", "(B)"),
        "`candidate_item_id`": ("input", "int64", "(B)"),
        "`candidate_category_id`": ("input", "string", "(B)"),
        "`historical_item_ids`": ("input", "int64", "(B, T)"),
        "`historical_category_ids`": ("input", "string", "(B, T)"),
        "`historical_timestamps`": ("input", "int64", "(B, T)"),
        "`timestamp`": ("input", "int64", "(B)"),
        "`hour`": ("input", "float64", "(B)"),
        "`device`": ("input", "int64", "(B)"),
        "`probability`": ("output", "float32", "(B)"),
    }
    rank = {name: shape for name, _, _, shape in rows_below(text, "`rank`")}
    wide = {"`candidate_item_id`", "`candidate_category_id`", "`probability`"}
    assert rank == {name: "(B, N)" if name in wide else shape for name, (_, _, shape) in predict.items()}
    assert "__saved_model_init_op" not in text


def test_features_say_what_is_required_and_how_to_pad(text):
    assert {name: (role, example, raw) for name, role, example, raw in rows_below(text, "Features")} == {
        "`user_id`": ("user", "int64, exactly one", "required"),
        "`age_group`": ("user", "bytes, at most one", '`""` where it is missing'),
        "`candidate_item_id`": ("candidate", "int64, exactly one", "required"),
        "`candidate_category_id`": ("candidate", "bytes, exactly one", "required"),
        "`historical_item_ids`": ("behaviour", "int64, any number, oldest first", "padded with −1 to T events"),
        "`historical_category_ids`": ("behaviour", "bytes, any number, oldest first", 'padded with `""` to T events'),
        "`historical_timestamps`": ("behaviour", "int64, any number, oldest first", "padded with −1 to T events"),
        "`timestamp`": ("context", "int64, exactly one", "required"),
        "`hour`": ("context", "int64, at most one", "NaN where it is missing"),
        "`device`": ("context", "int64, at most one", "−1 where it is missing"),
    }
    assert "the most recent 7 events count" in text
    assert "an event of `historical_category_ids` is padding where that of `historical_item_ids` is padding" in text


def ask(model, text, signature):
    """Sends the request of the page to a signature. Returns its instances, and the answer."""
    (body,) = re.findall(
        rf"""^    curl -d '({{"signature_name": "{signature}".*}})' http://127.0.0.1:8501/v1/models/demo:predict$""", text, re.M
    )
    instances = json.loads(body)["instances"]
    call = tf.saved_model.load(str(model)).signatures[signature]
    spec = call.structured_input_signature[1]
    assert all(instance.keys() == spec.keys() for instance in instances)
    return instances, call(**{name: tf.constant([one[name] for one in instances], tensor.dtype) for name, tensor in spec.items()})


@pytest.mark.parametrize(("signature", "shape"), [("predict", (2,)), ("rank", (2, 2))])
def test_the_requests_are_what_the_signatures_take(model, text, signature, shape):
    instances, answer = ask(model, text, signature)
    assert instances[0]["historical_item_ids"][1] == -1 and instances[0]["historical_category_ids"][1] == ""
    assert np.shape(answer["probability"]) == shape


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    return save(tmp_path_factory.mktemp("export") / "1", every.FEATURES, "degrees")


def test_every_kind_is_explained_with_its_shape_and_its_missing_value(every_kind):
    text = describe_signatures(every_kind, "demo")
    predict, rank = ({name: shape for name, _, _, shape in rows_below(text, f"`{signature}`")} for signature in ("predict", "rank"))
    shapes = {
        "interests": "(B, K)", "interest_weights": "(B, K)", "face": "(B, 2)", "ip": "(B)", "degrees": "(B)", "price": "(B)",
        "genres": "(B, K)", "image": "(B, 2)", "historical_prices": "(B, T)", "historical_words": "(B, T, K)",
        "historical_images": "(B, T, 2)", "probability": "(B)", "probability_purchase": "(B)",
    }  # fmt: skip
    assert shapes.items() <= {name.strip("`"): shape for name, shape in predict.items()}.items()
    assert (rank["`price`"], rank["`genres`"], rank["`image`"]) == ("(B, N)", "(B, N, K)", "(B, N, 2)")
    words = {name.strip("`"): (example, raw) for name, _, example, raw in rows_below(text, "Features")}
    assert words.keys() == every.ROW.keys()
    assert words["interests"] == ("bytes, any number", 'padded with `""` to K values')
    assert words["interest_weights"] == ("float, one for each value of `interests`", "padded with 0 to K values")
    assert words["face"] == ("float, exactly 2, or none", "NaN throughout where it is missing")
    assert words["price"] == ("float, at most one", "NaN where it is missing")
    assert words["genres"] == ("int64, any number", "padded with −1 to K values")
    assert words["historical_prices"] == ("float, any number, oldest first", "padded with NaN to T events")
    assert words["historical_words"] == (
        "bytes, any number; `historical_word_counts` (int64) has their number for each event",
        'padded with `""` to K values of each of T events',
    )
    assert words["historical_images"] == (
        "float, 2 for each event, NaN throughout where it is missing",
        "NaN throughout where it is missing, and to pad to T events",
    )
    assert "Of `interests` the first 3 values count." in text and "Of `historical_words` the first 10 values count for each event." in text
    assert "Only the data has `user_id`, `position`, `weight`, `purchase`: no request has them." in text


@pytest.mark.parametrize(("signature", "shape"), [("predict", (2,)), ("rank", (2, 2))])
def test_the_requests_of_every_kind_are_what_the_signatures_take(every_kind, signature, shape):
    text = describe_signatures(every_kind, "demo")
    instances, answer = ask(every_kind, text, signature)
    assert instances[0]["historical_words"] == [["value1", ""], ["", ""]] and instances[0]["historical_images"][0] == [0.5, 1.0]
    assert np.shape(answer["probability"]) == np.shape(answer["probability_purchase"]) == shape
    assert "for each label, by name: `probability`, `probability_purchase`." in text


def test_any_saved_model_can_be_described(tmp_path):
    text = describe_signatures(save_model(tmp_path / "model", 1))
    assert rows_below(text, "`serving_default`") == [["`x`", "input", "float32", "(B)"], ["`y`", "output", "float32", "(B)"]]
    assert "## Features" not in text and "curl" not in text
