"""What `signatures.md` says is what the SavedModel has."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from components.serving.model.signature_page import describe_signatures
from din_trainer.config import ORIGIN_FILE, DINConfig
from din_trainer.export.signatures import raw_tensor_spec
from din_trainer.features import FeatureConfig
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


def echo(name, spec):
    """A signature that returns one of its inputs as float32, and ignores the others."""
    return tf.function(lambda **raw: {"probability": tf.cast(raw[name], tf.float32)}).get_concrete_function(**spec)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "1"
    signatures = {
        "predict": echo("user_id", raw_tensor_spec(FEATURES)),
        "rank": echo("candidate_item_id", raw_tensor_spec(FEATURES, candidates=True)),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    (folder / ORIGIN_FILE).parent.mkdir()
    (folder / ORIGIN_FILE).write_text(json.dumps({"config": DINConfig(features=FEATURES).model_dump(mode="json")}))
    return folder


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


@pytest.mark.parametrize(("signature", "shape"), [("predict", (2,)), ("rank", (2, 2))])
def test_the_requests_are_what_the_signatures_take(model, text, signature, shape):
    (body,) = re.findall(
        rf"""^    curl -d '({{"signature_name": "{signature}".*}})' http://127.0.0.1:8501/v1/models/demo:predict$""", text, re.M
    )
    instances = json.loads(body)["instances"]
    call = tf.saved_model.load(str(model)).signatures[signature]
    spec = call.structured_input_signature[1]
    assert all(instance.keys() == spec.keys() for instance in instances)
    assert instances[0]["historical_item_ids"][1] == -1 and instances[0]["historical_category_ids"][1] == ""
    tensors = {name: tf.constant([instance[name] for instance in instances], tensor.dtype) for name, tensor in spec.items()}
    assert np.shape(call(**tensors)["probability"]) == shape


def test_any_saved_model_can_be_described(tmp_path):
    text = describe_signatures(save_model(tmp_path / "model", 1))
    assert rows_below(text, "`serving_default`") == [["`x`", "input", "float32", "(B)"], ["`y`", "output", "float32", "(B)"]]
    assert "## Features" not in text and "curl" not in text
