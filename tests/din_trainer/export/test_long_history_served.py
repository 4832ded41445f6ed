"""DIN with a long history whose events have every kind of field: training data, model and all signatures agree, and `explain` shows it."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel
from din_trainer.features import FeatureConfig
from din_trainer.models.make_model import make_model
from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_reader import Reader
from din_trainer.training.initial_tables import vocabulary_sizes
from din_trainer.training.packed_rows import PackedRows
from tests.din_trainer.export.test_every_kind_served import PAIRS, check_scores, examples
from tests.din_trainer.reading.every_kind import FEATURES, parsed
from tests.transforming import with_large_weights

LENGTH = 5  # of the long history; there are up to 6 events
SEARCHES = {
    "hard": {"search": "hard", "events": 2},
    "hash": {"search": "hash", "events": 3, "bits": 4},
}


def long_features(**changes):
    return FeatureConfig.model_validate({**FEATURES.model_dump(), "history_length": 2, "long_history_length": LENGTH, **changes})


def make(transform_output, search, **settings):
    config = DINConfig.model_validate({"features": long_features(), "model": {"long_history": SEARCHES[search], **settings}})
    return with_large_weights(make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output)))


@pytest.mark.parametrize("search", SEARCHES)
def test_every_signature_gives_the_model_s_scores(every_kind_output, search):
    model = make(every_kind_output, search, interactions="inner")
    reader = Reader(model.din_config.features, every_kind_output)
    expected = tf.sigmoid(model(reader.transformed(parsed(PAIRS)))).numpy()
    assert np.std(expected, axis=0).min() > 1e-3
    check_scores(ServingModel(model, every_kind_output), expected)


@pytest.mark.parametrize("search", SEARCHES)
def test_training_reads_the_same_without_padding(every_kind_output, search):
    model = make(every_kind_output, search)
    reader = Reader(model.din_config.features, every_kind_output)
    spec = example_spec(model.din_config.features)
    rows = PackedRows(lambda serialized: reader.transformed(tf.io.parse_example(serialized, spec), ragged=True))
    features = rows.unpack(rows.pack(examples(PAIRS)))
    assert features["historical_item_ids"].shape.rank == 1 and features["cart_item_ids"].shape[1:] == [2]
    expected = model(reader.transformed(parsed(PAIRS)))
    np.testing.assert_allclose(model.logits(model.without_padding(features)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("search", SEARCHES)
def test_explain_shows_the_weights_of_the_events_that_were_chosen(every_kind_output, search):
    """The chosen events have a weight at their places in the long history; the short one has the weights of the recent events."""
    model = make(every_kind_output, search)
    found = ServingModel(model, every_kind_output).explain(examples(PAIRS))
    transformed = Reader(model.din_config.features, every_kind_output).transformed(parsed(PAIRS))
    history, candidate = (transformed[f"{name}_category_id{s}"].numpy() for name, s in (("historical", "s"), ("candidate", "")))
    recent, chosen = found["clicks_attention"].numpy() != 0, found["long_history_attention"].numpy() != 0
    assert recent.shape == (6, 2) and chosen.shape == (6, LENGTH)
    for b in range(6):
        events = np.count_nonzero(history[b])
        assert recent[b].tolist() == [t < min(events, 2) for t in range(2)]
        if search == "hard":
            same = [t for t in range(events) if history[b, t] == candidate[b]]
            assert np.flatnonzero(chosen[b]).tolist() == same[-2:]
        else:
            assert np.count_nonzero(chosen[b]) == min(events, 3)
    assert chosen.any()
