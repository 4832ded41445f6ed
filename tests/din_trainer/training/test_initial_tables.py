"""Embedding tables start from files of embeddings and get the counts of their rows."""

import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.initial_tables import initialise_tables, vocabulary_sizes

ITEM = {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4}
CATEGORY = {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "dim": 2}


VOCABULARIES = {
    "item": [b"7", b"3", b"0", b"9", b"5"],
    "item_counts": [b"4 7", b"3 3", b"3 0", b"1 9", b"1 5"],
    "category": [b"toys", b"home garden"],
    "category_counts": [b"5 toys", b"4 home garden"],
    "user_id": [b"1", b"2"],
    "user_id_counts": [b"2 1", b"1 2"],
}


class TransformOutput:
    """Has the files that Transform writes; `tests/din_trainer/transform/test_preprocessing.py` reads real ones."""

    def vocabulary_by_name(self, name):
        return VOCABULARIES[name]

    def vocabulary_size_by_name(self, name):
        return len(VOCABULARIES[name])


def make(item=None, category=None, **training):
    behaviours = {"item": ITEM | (item or {}), "category": CATEGORY | (category or {})}
    features = {"behaviours": behaviours, "user": {"user_id": {"dim": 2}}}
    config = DINConfig.model_validate({"features": features, "training": training})
    return make_model(config, vocabulary_sizes(config.features.vocabularies, TransformOutput()))


def test_known_values_start_from_the_file(tmp_path):
    """Rows that the file does not name keep their random start: other values, padding, out of vocabulary."""
    np.savez(tmp_path / "items.npz", ids=[5, 12345, 7], vectors=np.arange(12.0).reshape(3, 4))
    np.savez(tmp_path / "categories.npz", ids=["home garden", "zzz"], vectors=[[5.0, 6.0], [7.0, 8.0]])
    embeddings = {name: {"embeddings": str(tmp_path / f"{name}.npz")} for name in ("items", "categories")}
    model = make(embeddings["items"] | {"trainable": False}, embeddings["categories"])
    before = {name: np.array(table.embeddings) for name, table in model.tables.items()}
    initialise_tables(model, TransformOutput())

    items, categories = before["item"].copy(), before["category"].copy()
    items[1], items[5] = [8, 9, 10, 11], [0, 1, 2, 3]  # the ids of 7 and 5
    categories[2] = [5, 6]
    np.testing.assert_array_equal(model.tables["item"].embeddings, items)
    np.testing.assert_array_equal(model.tables["category"].embeddings, categories)
    np.testing.assert_array_equal(model.tables["user_id"].embeddings, before["user_id"])
    trained = {id(variable) for variable in model.trainable_variables}
    assert id(model.tables["item"].embeddings) not in trained and id(model.tables["category"].embeddings) in trained


def test_tables_get_the_counts_that_regularisation_needs():
    model = make(regularization=0.01)
    initialise_tables(model, TransformOutput())
    np.testing.assert_array_equal(model.tables["item"].counts, [0, 4, 3, 3, 1, 1, 0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": [100, 101], "vectors": np.zeros((2, 4))}, "none of its ids occurs in train/ as 'item': give raw ids"),
        ({"ids": [7], "vectors": np.zeros((1, 3))}, r"`vectors` is \(1, 3\), but 1 ids and dim = 4 need \(1, 4\)"),
        ({"vectors": np.zeros((1, 4))}, "ids is not a file in the archive"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        initialise_tables(make({"embeddings": str(tmp_path / "e.npz")}), TransformOutput())
