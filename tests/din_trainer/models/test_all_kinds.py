"""All kinds of features, in every role, in every kind of model: against NumPy, for N candidates, in training, saved and reloaded."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.layers.mlp import MLP
from din_trainer.models.make_model import MODELS, make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer import textbook
from tests.din_trainer.all_kinds import FEATURES, FIXED_SIZES, SIZES, make_batch, ranked
from tests.transforming import with_large_weights

KINDS = [
    *(kind for kind in MODELS if kind != "din"),
    *(f"din {interactions}" for interactions in ("none", "sum", "inner", "elementwise", "mean_inner")),
]
SMALL = {"hidden": [5], "attention_hidden": [6], "cross_layers": 2, "dropout": 0.0}


def make(kind, labels=("label",), regularization=0.0, **settings):
    """A model by its kind; that of DIN says which interactions it has."""
    keras.utils.set_random_seed(1)
    kind, _, interactions = kind.partition(" ")
    settings |= {"interactions": interactions} if interactions else {}
    config = {"features": FEATURES | {"labels": labels}, "model": SMALL | {"kind": kind} | settings}
    config["training"] = {"regularization": regularization}
    return with_large_weights(make_model(DINConfig.model_validate(config), SIZES))


shared = cache(make)  # tests that use the same model must not change it


def logits(model, batch, training=False):
    return np.asarray(model.score(model.without_padding({name: tf.constant(x) for name, x in batch.items()}), training))


def table(model, name):
    return np.array(model.tables[name].embeddings)


def dense(layer, x):
    return np.maximum(x @ np.array(layer.kernel) + np.array(layer.bias), 0)


def tags(model, batch, name, b, t=None):
    """The pooled tags of an impression or an event."""
    weights, combine = {
        "interests": ("interest_weights", "sqrtn"), "genres": (None, "mean"), "labels": ("label_weights", "sum"),
    }[name]  # fmt: skip
    place = b if t is None else (b, t)
    ids = batch[name][place]
    return textbook.pooled(table(model, name), ids, batch[weights][place] if weights else np.ones(len(ids)), combine)


def sequences(model, batch, b):
    """For each sequence the embedded events of an impression, without padding: keys (T, D), fields (T, X)."""
    items, categories = table(model, "item"), table(model, "category")
    clicks = [t for t, item in enumerate(batch["historical_item_ids"][b]) if item]
    cart = [t for t, item in enumerate(batch["cart_item_ids"][b]) if item]
    click_keys = [np.r_[items[batch["historical_item_ids"][b, t]], categories[batch["historical_category_ids"][b, t]]] for t in clicks]
    click_fields = [
        np.r_[
            batch["historical_time_gaps"][b, t], batch["paid"][b, t],
            table(model, "action")[batch["action"][b, t]], tags(model, batch, "labels", b, t),
        ] for t in clicks
    ]  # fmt: skip
    cart_fields = [
        np.r_[
            batch["cart_times_gap"][b, t], dense(model.vectors["picture"], batch["picture"][b, t]),
            table(model, "shop")[batch["shop"][b, t]],
        ] for t in cart
    ]  # fmt: skip
    return {
        "clicks": (np.reshape(click_keys, (-1, 6)), np.reshape(click_fields, (-1, 8))),
        "cart": (np.reshape([items[batch["cart_item_ids"][b, t]] for t in cart], (-1, 4)), np.reshape(cart_fields, (-1, 5))),
    }


def summed(model, sequence, query, keys, fields):
    """The base models' interest: equation 1."""
    return np.r_[keys.sum(axis=0), fields.sum(axis=0)]


def activated(model, sequence, query, keys, fields):
    """DIN's interest: equation 3, the unit reads the fields and the sum has them."""
    unit = model.attention[sequence]
    weights = [textbook.attention_weight(unit, query, key, field) for key, field in zip(keys, fields, strict=True)]
    return sum((w * np.r_[k, f] for w, k, f in zip(weights, keys, fields, strict=True)), np.zeros(keys.shape[1] + fields.shape[1]))


def with_sum(model, sequence, query, keys, fields):
    """DIN's interest, then the sum of the history."""
    return np.r_[activated(model, sequence, query, keys, fields), summed(model, sequence, query, keys, fields)]


def with_elementwise(model, sequence, query, keys, fields):
    return np.r_[with_sum(model, sequence, query, keys, fields), query * keys.sum(axis=0)]


def with_inner(model, sequence, query, keys, fields):
    """The items have 4 numbers and the categories of clicks 2; those in the cart have no categories."""
    parts, interest = [slice(0, 4), slice(4, 6)][: len(model.sequences[sequence])], activated(model, sequence, query, keys, fields)
    of_sum, of_interest = ([query[part] @ x[part] for part in parts] for x in (keys.sum(axis=0), interest))
    return np.r_[with_sum(model, sequence, query, keys, fields), of_sum, of_interest]


def with_mean(model, sequence, query, keys, fields):
    """The interest is as it was; after it, all that is made of the sum is divided by the number of events."""
    x, width, events = with_inner(model, sequence, query, keys, fields), keys.shape[1] + fields.shape[1], max(len(keys), 1)
    behaviours = len(model.sequences[sequence])
    x[width : 2 * width + behaviours] /= events
    return x


def transformed(model, sequence, query, keys, fields):
    """BST's interest."""
    return textbook.transformer(model.transformers[sequence], query, np.concatenate([keys, fields], axis=1))


def inputs_by_numpy(model, batch, b, interest):
    """What the MLP reads at inference, in the documented order."""
    row = {name: table(model, name)[batch[name][b]] for name in ("user_id", "age", "city", "query", "age_city", "brand", "brand_city")}
    candidate = [table(model, "item")[batch["candidate_item_id"][b]], table(model, "category")[batch["candidate_category_id"][b]]]
    queries = {"clicks": np.r_[*candidate], "cart": candidate[0]}
    interests = [interest(model, s, queries[s], keys, fields) for s, (keys, fields) in sequences(model, batch, b).items()]
    return np.r_[
        *candidate,
        row["brand"], tags(model, batch, "genres", b), row["brand_city"],
        table(model, "page")[1],  # position 0, whatever the batch says
        *interests,
        row["user_id"], tags(model, batch, "interests", b), row["age"], row["city"], row["query"], row["age_city"],
        batch["price"][b], batch["image"][b], batch["hour"][b], dense(model.vectors["mood"], batch["mood"][b]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind, interest",
    [
        ("base", summed),
        ("din none", activated),
        ("din sum", with_sum),
        ("din inner", with_inner),
        ("din elementwise", with_elementwise),
        ("din mean_inner", with_mean),
        ("bst", transformed),
    ],
)
def test_the_mlp_reads_what_numpy_makes_of_each_kind(kind, interest, monkeypatch):
    model, batch = shared(kind), make_batch(6)
    read = []
    monkeypatch.setattr(MLP, "call", lambda self, x, training=False: read.append(np.asarray(x)) or x[:, 0])
    scores = logits(model, batch)
    (x,) = read
    expected = np.stack([inputs_by_numpy(model, batch, b, interest) for b in range(6)])
    np.testing.assert_allclose(x, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(scores - x[:, 0], np.full(6, table(model, "slot")[2, 0]), rtol=1e-4, atol=1e-5)  # the bias of position 1
    assert sum(one.width for one in model.mlp_inputs) == x.shape[1]


def split(model, x):
    """The inputs of the MLP that are embeddings, as vectors of the size of the first: (D,) each."""
    ends = np.cumsum([one.width for one in model.mlp_inputs])
    parts = [part for part, one in zip(np.split(x, ends[:-1]), model.mlp_inputs, strict=True) if one.is_embedded]
    assert len(parts) == 18
    return [part if m is None else part @ np.array(m.kernel) for part, m in zip(parts, model.projection.matrices, strict=True)]


def test_pnn_and_deepfm_multiply_all_embeddings():
    """With candidate fields, sums of tags of events, positions and crosses among them, but without numbers and vectors."""
    batch = make_batch(4)
    pnn, deepfm = shared("pnn"), shared("deepfm")
    inputs = {model: model.without_padding({name: tf.constant(x) for name, x in batch.items()}) for model in (pnn, deepfm)}
    fields = {m: m.embedder.one_row_a_candidate(x, m.look_up(x, training=False)) for m, x in inputs.items()}
    (products,) = pnn.cross(fields[pnn])
    terms = deepfm.shallow(inputs[deepfm], fields[deepfm], None, False) - deepfm.linear(inputs[deepfm])[:, 0]
    for b in range(4):
        parts = split(pnn, inputs_by_numpy(pnn, batch, b, summed))
        expected = [parts[i] @ parts[j] for i in range(len(parts)) for j in range(i + 1, len(parts))]
        np.testing.assert_allclose(products[b], expected, rtol=1e-3, atol=1e-4)
        parts = split(deepfm, inputs_by_numpy(deepfm, batch, b, summed))
        expected = sum(parts[i] @ parts[j] for i in range(len(parts)) for j in range(i + 1, len(parts)))
        np.testing.assert_allclose(terms[b], expected, rtol=1e-3, atol=1e-3)


def test_dcn_adds_a_cross_network_on_the_same_inputs(monkeypatch):
    model, batch = shared("dcn"), make_batch(4)
    monkeypatch.setattr(MLP, "call", lambda self, x, training=False: tf.zeros(4))
    bias = table(model, "slot")[2, 0]
    for b, score in enumerate(logits(model, batch)):
        crossed = textbook.cross_network(model.cross_network, inputs_by_numpy(model, batch, b, summed))
        np.testing.assert_allclose(score, crossed @ np.array(model.cross_logit.kernel)[:, 0] + bias, rtol=1e-3, atol=1e-3)


def test_lr_has_a_weight_for_each_value():
    model, batch = shared("lr"), make_batch(6)
    weight = {name: np.array(layer.embeddings) for name, layer in model.linear.tables.items()}
    plain = ("user_id", "age", "city", "query", "age_city", "brand", "brand_city")
    numbers = ("historical_time_gaps", "paid", "cart_times_gap", "picture", "price", "image", "hour", "mood")
    assert tuple(model.linear.numbers) == numbers
    for b in range(6):
        expected = float(model.linear.bias) + sum(weight[name][batch[name][b], 0] for name in plain) + weight["page"][1, 0]
        expected += weight["item"][batch["candidate_item_id"][b], 0] + weight["category"][batch["candidate_category_id"][b], 0]
        expected += np.array(model.tables["slot"].embeddings)[2, 0]
        clicks, cart = batch["historical_item_ids"][b] > 0, batch["cart_item_ids"][b] > 0
        for name, own, real in (
            ("historical_item_ids", "item", clicks), ("historical_category_ids", "category", clicks), ("action", "action", clicks),
            ("cart_item_ids", "item", cart), ("shop", "shop", cart),
        ):  # fmt: skip
            expected += weight[own][batch[name][b][real], 0].sum()
        expected += textbook.pooled(weight["interests"], batch["interests"][b], batch["interest_weights"][b], "sqrtn")[0]
        expected += textbook.pooled(weight["genres"], batch["genres"][b], np.ones(3), "mean")[0]
        for t in np.flatnonzero(clicks):
            expected += textbook.pooled(weight["labels"], batch["labels"][b, t], batch["label_weights"][b, t], "sum")[0]
        events = {"historical_time_gaps": clicks, "paid": clicks, "cart_times_gap": cart, "picture": cart}
        parts = [batch[name][b][events[name]].sum(axis=0) if name in events else batch[name][b] for name in numbers]
        expected += np.concatenate([np.atleast_1d(part) for part in parts]) @ np.array(model.linear.number_weights)[:, 0]
        np.testing.assert_allclose(logits(model, batch)[b], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("history", [True, False], ids=["history", "no_history"])
@pytest.mark.parametrize("labels", [("label",), ("click", "purchase")], ids=["one_label", "two_labels"])
@pytest.mark.parametrize("kind", KINDS)
def test_n_candidates_score_as_n_impressions(kind, labels, history):
    model = shared(kind if history else kind.partition(" ")[0], labels, history=history)
    repeated, inputs = ranked(model, make_batch(12), 3)
    expected = logits(model, repeated)
    assert expected.shape == ((12,) if len(labels) == 1 else (12, 2))
    assert len(np.unique(expected)) == expected.size
    np.testing.assert_allclose(model.score(inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_depends_on_its_own_example_alone(kind):
    model, batch = shared(kind), make_batch(8)
    alone = [logits(model, {name: values[b : b + 1] for name, values in batch.items()})[0] for b in range(8)]
    np.testing.assert_allclose(logits(model, batch), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_saves_and_reloads(kind, tmp_path):
    model, batch = shared(kind), make_batch(5)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(logits(keras.models.load_model(tmp_path / "m.keras"), batch), logits(model, batch))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_changes_the_rows_of_the_batch_alone(kind):
    """In every table, those of kinds without a vocabulary as well; and every other weight moves."""
    model, batch = make(kind), make_batch(8)  # its own model, which it changes
    compile_model(model)
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.score(model.without_padding({name: tf.constant(x) for name, x in batch.items()}), training=True) ** 2)
    variables = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(loss, variables)
    model.optimizer.apply(gradients, model.trainable_weights)
    fed = {name: [name] for name in (*SIZES, *FIXED_SIZES)}
    fed |= {
        "item": ["candidate_item_id", "historical_item_ids", "cart_item_ids"],
        "category": ["candidate_category_id", "historical_category_ids"],
    }
    tables = {id(t.embeddings): name for name in fed for t in model.tables_of(name)}
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        changed = weight.numpy() != before[weight.path]
        if name := tables.get(id(weight)):
            assert isinstance(gradient, tf.IndexedSlices)
            rows = np.unique(np.concatenate([batch[feature].ravel() for feature in fed[name]]))
            assert np.flatnonzero(changed.any(axis=1)).tolist() == [row for row in rows if row], name
        else:
            assert changed.any() or weight.path.endswith("key/bias"), weight.path  # softmax does not see the bias of the keys


@pytest.mark.parametrize("kind", ["lr", "din", "deepfm"])
def test_a_position_is_read_in_training_and_fixed_at_serving(kind):
    """At inference every impression counts as shown at the serving position; in training its own position moves its logit."""
    model, batch = make(kind, activation="relu"), make_batch(8)
    other = {**batch, "slot": 1 + batch["slot"] % 4, "page": 1 + batch["page"] % 3}
    np.testing.assert_array_equal(logits(model, batch), logits(model, other))
    served = {**batch, "slot": np.full(8, 2), "page": np.full(8, 1)}
    without = {name: values for name, values in batch.items() if name not in ("slot", "page")}
    np.testing.assert_allclose(logits(model, without), logits(model, served, training=True), rtol=1e-5, atol=1e-6)
    moved = logits(model, {**served, "slot": np.full(8, 4)}, training=True) - logits(model, served, training=True)
    bias = table(model, "slot")[:, 0]
    np.testing.assert_allclose(moved, np.full(8, bias[4] - bias[2]), rtol=1e-3, atol=1e-5)


def test_empty_tags_are_the_zero_vector_and_padding_does_not_matter():
    model, batch = shared("din"), make_batch(4)
    emptied = {**batch, "genres": batch["genres"] * 0}
    fields = model.look_up(model.without_padding({name: tf.constant(x) for name, x in emptied.items()}), training=False)
    np.testing.assert_array_equal(fields["genres"], np.zeros((4, 2)))
    wider = {**batch, "genres": np.pad(batch["genres"], ((0, 0), (0, 3)))}
    np.testing.assert_array_equal(logits(model, wider), logits(model, batch))


def test_tables_without_a_vocabulary_have_no_counts():
    model = make("wide_deep", regularization=0.01)
    with_counts = {name for name in (*SIZES, *FIXED_SIZES) if all(hasattr(t, "counts") for t in model.tables_of(name))}
    assert with_counts == set(SIZES)
