"""Schemas that are derived, written by hand or inferred."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.base.errors import InputError
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.load_config import load_config
from pipeline.run.checks.check_impressions import DataFacts, check_data
from pipeline.run.inputs.data_schema import check_evaluation, read_schema, unchecked_by_run, write_schema
from pipeline.run.inputs.unchecked_schema import unchecked_parts
from tests.sample_data import make_impressions, write_dataset

FACTS = DataFacts({}, {}, {}, {}, {}, {})


def curated(tmp_path, text):
    file = tmp_path / "curated.pbtxt"
    file.write_text(text)
    return load_config(None, [f"data_schema.file={file}"])


def test_by_default_it_follows_from_the_features(tmp_path):
    data = write_dataset(tmp_path / "data")
    config = load_config()
    facts = check_data(data, config.features)
    file = write_schema(config, data, facts, tmp_path / "schemas")
    assert read_schema(file) == make_schema(config.features, facts.columns)
    assert write_schema(config, data, facts, tmp_path / "schemas") == file


def test_another_schema_has_another_name(tmp_path):
    config = load_config()
    first = write_schema(config, tmp_path, FACTS, tmp_path)
    assert write_schema(load_config(None, ["features.context.hour.kind=numeric"]), tmp_path, FACTS, tmp_path) != first


def test_a_curated_schema_keeps_its_domains_and_gets_the_shapes(tmp_path):
    text = text_format.MessageToString(make_schema(load_config().features))
    text = text.replace("presence {\n    min_fraction: 1.0\n    min_count: 1\n  }\n", "")
    text = text.replace("shape {\n  }", "shape {\n    dim {\n      size: 1\n    }\n  }")
    text = text.replace('name: "user_id"', 'name: "user_id"\n  annotation { comment: "ours" }')
    schema = read_schema(write_schema(curated(tmp_path, text), tmp_path, FACTS, tmp_path))
    user = next(feature for feature in schema.feature if feature.name == "user_id")
    assert user.presence.min_fraction == 1.0
    assert user.HasField("shape") and not user.shape.dim and user.annotation.comment == ["ours"]


def test_a_schema_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no readable schema"):
        write_schema(curated(tmp_path, "feature {"), tmp_path, FACTS, tmp_path)
    with pytest.raises(InputError, match="has no feature 'user_id'"):
        write_schema(curated(tmp_path, ""), tmp_path, FACTS, tmp_path)
    with pytest.raises(InputError, match="feature 'user_id' is BYTES, but INT is declared"):
        write_schema(curated(tmp_path, 'feature { name: "user_id" type: BYTES }'), tmp_path, FACTS, tmp_path)


def test_an_inferred_schema_is_tfdv_s_guess_in_our_shapes(tmp_path):
    columns = make_impressions(page=[b"home", b"home", b"search", b"home"])
    data = write_dataset(tmp_path / "data", dict.fromkeys(("train", "validation", "eval"), columns))
    attribute = [
        'features.lookups.items={table = "items.csv", key = "id", of = "candidate_item_id"}',
        'features.candidate.price={kind = "numeric", dtype = "float", lookup = "items"}',  # which the data has not yet
    ]
    config = load_config(None, ["data_schema.infer=true", "features.context.page.dtype=bytes", *attribute])
    schema = read_schema(write_schema(config, data, FACTS, tmp_path))
    features = {feature.name: feature for feature in schema.feature}
    assert features["label"].HasField("shape") and not features["historical_item_ids"].HasField("shape")
    assert features["price"].type == schema_pb2.FLOAT and features["price"].value_count.max == 1
    assert next(domain for domain in schema.string_domain if domain.name == "page").value == ["home", "search"]


def test_metrics_within_requests_need_request_ids(tmp_path):
    config = load_config(None, ["evaluation.thresholds.ndcg_10.at_least=0.5"])
    check_evaluation(config, {"request_id"}, tmp_path, tmp_path / "schema")
    with pytest.raises(InputError, match=rf"^{tmp_path} has no request_id, which ndcg_10 needs: add the feature, or remove"):
        check_evaluation(config, {"user_id"}, tmp_path, tmp_path / "schema")


def test_a_feature_must_not_have_the_name_of_a_column_for_slices(tmp_path):
    config = load_config()
    column = next(name for features in config.evaluation.slice_features for name in features if name in config.slice_columns)
    check_evaluation(config, {"user_id"}, tmp_path, tmp_path / "schema")
    with pytest.raises(InputError, match=rf"^{tmp_path / 'schema'} has a feature '{column}', but a column of this name is computed"):
        check_evaluation(config, {"user_id", column}, tmp_path, tmp_path / "schema")


CURATED = """
  default_environment: "TRAINING"
  feature { name: "a" type: INT drift_comparator { infinity_norm { threshold: 0.01 } } }
  feature {
    name: "b" type: BYTES skew_comparator { infinity_norm { threshold: 0.01 } } drift_comparator { infinity_norm { threshold: 0.01 } }
    domain: "few" distribution_constraints { min_domain_mass: 0.9 } unique_constraints { min: 1 max: 9 } presence { min_fraction: 1 }
  }
  feature { name: "historical_item_ids" type: INT value_count { min: 1 } not_in_environment: "SERVING" }
  string_domain { name: "few" value: "x" }
  dataset_constraints { max_examples_count: 9 }
"""


def test_what_a_curated_schema_asks_for_in_vain_is_said(tmp_path):
    """Case 19: comparators for skew without a log of requests, and their neighbours. What TFDV checks is not named."""
    config = curated(tmp_path, CURATED)
    file = config.data_schema.file
    assert unchecked_by_run(config) == [
        f"{file}: default_environment is not checked: a run has no environments.",
        f"{file}: skew_comparator of 'b' is not checked: name a log of requests with --requests.",
        f"{file}: not_in_environment of 'historical_item_ids' is not checked: a run has no environments.",
        f"{file}: max_examples_count is not checked: TFDV compares with it only if min_examples_count is set.",
        f"{file}: value_count of 'historical_item_ids' is not checked: histories may have any number of events.",
    ]


def test_comparators_are_checked_but_for_numbers_of_examples(tmp_path):
    text = CURATED.replace(
        '"a" type: INT drift_comparator {', '"a" type: INT drift_comparator { normalized_abs_difference { threshold: 1 }'
    )
    config = curated(tmp_path, text)
    with_requests = config.model_copy(update={"requests": "log"})
    assert [note for note in unchecked_by_run(with_requests) if " of 'a' " in note or " of 'b' " in note] == [
        f"{config.data_schema.file}: normalized_abs_difference of 'a' is not checked: it is for numbers of examples."
    ]


def test_bounds_on_skew_without_requests_are_said():
    assert unchecked_by_run(load_config(None, ["skew.user_id.at_most=0.1"])) == [
        "skew of 'user_id' is not checked: name a log of requests with --requests."
    ]


def test_our_own_schema_asks_for_nothing_in_vain(tmp_path):
    text = text_format.MessageToString(make_schema(load_config().features))
    assert unchecked_by_run(curated(tmp_path, text)) == []
    assert unchecked_by_run(load_config()) == []


HONOURED = {
    "min_domain_mass": 'string_domain { value: "x" } distribution_constraints { min_domain_mass: 0.7 }',
    "unique_constraints": "unique_constraints { min: 5 max: 9 }",
    "presence": "presence { min_count: 99 }",
    "value_count": "value_count { min: 2 max: 2 }",
}


@pytest.mark.parametrize("asked", HONOURED)
def test_what_is_not_named_is_really_checked(asked):
    """The list of checked fields, against TFDV itself."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    schema = text_format.Parse(f'feature {{ name: "a" type: BYTES {HONOURED[asked]} }}', schema_pb2.Schema())
    statistics = tfdv.generate_statistics_from_dataframe(pd.DataFrame({"a": ["x", "y"] * 10}), tfdv.StatsOptions(schema=schema))
    assert unchecked_parts(schema, "curated") == []
    assert "a" in tfdv.validate_statistics(statistics, schema).anomaly_info
