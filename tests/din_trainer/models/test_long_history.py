"""DIN with a long history: its forward pass in NumPy, gradients, saving, and settings that make no sense."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from din_trainer.config import DINConfig
from din_trainer.keras_pins import saved_by_disk
from din_trainer.models.make_model import make_model
from tests.din_trainer import textbook
from tests.din_trainer.batches import SIZES, make_batch, make_labels
from tests.transforming import with_large_weights

HARD = {"search": "hard", "events": 3}
HASH = {"search": "hash", "events": 4, "bits": 6}
BOTH = pytest.mark.parametrize("search", [HARD, HASH], ids=["hard", "hash"])


def make(search, **settings):
    config = {
        "features": {"history_length": 3, "long_history_length": 12},
        "model": {"interactions": "none", "long_history": search, **settings},
    }
    return with_large_weights(make_model(DINConfig.model_validate(config), SIZES))


def embedded(model, batch, b, t):
    """The candidate of an impression, (2 D,), if t is None; otherwise event t of its history."""
    names = [("candidate_item_id", "candidate_category_id"), ("historical_item_ids", "historical_category_ids")][t is not None]
    ids = [batch[name][b] if t is None else batch[name][b, t] for name in names]
    return np.concatenate([np.array(model.tables[table].embeddings)[i] for table, i in zip(("item", "category"), ids, strict=True)])


def chosen_events(model, batch, b):
    """The events that the search should find for an impression, event by event."""
    events, settings = range(np.count_nonzero(batch["historical_item_ids"][b])), model.din_config.model.long_history
    if settings.search == "hard":
        return [t for t in events if batch["historical_category_ids"][b, t] == batch["candidate_category_id"][b]][-settings.events :]
    vectors = [np.array(v) for v in model.hash_search.vectors]

    def bits(t):
        parts = np.split(embedded(model, batch, b, t), [16])
        return np.concatenate([part @ v > 0 for part, v in zip(parts, vectors, strict=True)])

    return sorted(events, key=lambda t: (np.count_nonzero(bits(t) != bits(None)), -t))[: settings.events]


@BOTH
def test_the_forward_pass_is_that_of_the_formulas(search):
    """Event by event in NumPy: the interest of the last 3 events, then that of the chosen ones, through the model's own MLP."""
    model, batch = make(search), make_batch(8, length=12)
    assert not np.count_nonzero(batch["historical_item_ids"], axis=1).all()  # one history is empty
    rows = []
    for b in range(8):
        query, count = embedded(model, batch, b, None), np.count_nonzero(batch["historical_item_ids"][b])
        interests = []
        for unit, events in (("clicks", list(range(count))[-3:]), ("long_history", chosen_events(model, batch, b))):
            keys = [embedded(model, batch, b, t) for t in events]
            interests.append(sum((textbook.attention_weight(model.attention[unit], query, key) * key for key in keys), np.zeros(32)))
        user = np.array(model.tables["user_id"].embeddings)[batch["user_id"][b]]
        rows.append(np.concatenate([query, *interests, user]))
    expected = np.ravel(model.mlp(np.array(rows, np.float32)))
    np.testing.assert_allclose(model(batch), expected, rtol=1e-3, atol=1e-4)


@BOTH
def test_only_events_that_are_read_get_a_gradient(search):
    model, batch = make(search), make_batch(1, length=12, seed=5)
    count = 12
    batch["historical_item_ids"] = np.arange(1, count + 1)[None]  # each event has an item of its own
    batch["historical_category_ids"] = np.arange(count)[None] % 4 + 1
    batch["candidate_item_id"], batch["candidate_category_id"] = np.array([29]), np.array([2])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(batch, training=True))
    gradient = tape.gradient(loss, model.tables["item"].embeddings.value)
    read = {count - 3, count - 2, count - 1} | set(chosen_events(model, batch, 0))
    assert set(chosen_events(model, batch, 0)) - {count - 3, count - 2, count - 1}
    assert set(gradient.indices.numpy().tolist()) == {29, *(t + 1 for t in read)}
    assert np.abs(gradient.values.numpy()).max(axis=1).min() > 0


@BOTH
def test_trains_and_reloads_to_the_same_scores(search, tmp_path):
    model, batch = make(search), make_batch(64, length=12)
    model.compile("adam", "binary_crossentropy")
    model.fit(batch, make_labels(64, 0), batch_size=32, epochs=1, verbose=0)
    with saved_by_disk():
        model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(batch), model(batch))


FEATURES = {"long_history_length": 20}


@pytest.mark.parametrize(
    ("features", "model", "training", "message"),
    [
        ({}, {"long_history": HARD}, {}, "'hard' needs features.long_history_length"),
        (FEATURES, {}, {}, "features.long_history_length = 20 is for model.long_history.search, which is 'none'"),
        (FEATURES, {"kind": "pnn", "long_history": HASH}, {}, "is for model.kind = 'din' with histories, but model.kind = 'pnn'"),
        (FEATURES, {"history": False, "long_history": HASH}, {}, "with histories, but model.history = false"),
        ({"long_history_length": 10}, {"long_history": HASH}, {}, r"long_history_length \(10\) must be larger than history_length \(10\)"),
        (FEATURES, {"long_history": {**HARD, "category": "brand"}}, {}, "no behaviour of the sequence 'clicks': it has item, category"),
        (FEATURES, {"long_history": {**HASH, "events": 21}}, {}, "cannot outnumber the 20 events"),
        (FEATURES, {"long_history": {**HARD, "bits": 8}}, {}, "bits is for search = 'hash', and search is 'hard'"),
        (FEATURES, {"long_history": {**HASH, "category": "item"}}, {}, "category is for search = 'hard', and search is 'hash'"),
        ({}, {"long_history": {"events": 7}}, {}, "events is for search = 'hard' or 'hash', and search is 'none'"),
        (FEATURES, {"long_history": HASH}, {"workers": 2, "split_rows": 100}, "reads whole tables, which training.split_rows avoids"),
    ],
)
def test_settings_that_make_no_sense_are_refused(features, model, training, message):
    with pytest.raises(ValidationError, match=message):
        DINConfig.model_validate({"features": features, "model": model, "training": training})


def test_the_name_of_the_chosen_events_is_no_sequence():
    behaviours = {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "sequence": "long_history"}}
    with pytest.raises(ValidationError, match="a sequence is called 'long_history'"):
        DINConfig.model_validate({"features": {**FEATURES, "behaviours": behaviours}, "model": {"long_history": HASH}})
