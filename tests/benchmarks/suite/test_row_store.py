"""The key of a row follows all that the row depends on."""

import hashlib

import pytest

from benchmarks.peers import peer_environment
from benchmarks.suite.row_store import RowStore
from benchmarks.suite.suite_config import Planned, load_suite, plan
from pipeline.configuration.load_config import load_config
from tests.benchmarks.suite.suite_file import SUITE


def test_a_key_follows_all_that_a_row_depends_on(tmp_path, monkeypatch):
    (tmp_path / "suite.toml").write_text(SUITE)
    rows = {p.model: p for p in plan(load_suite(str(tmp_path / "suite.toml")), ["din", "deepctr"], [0], [])["there"]}
    store = RowStore(tmp_path)
    keys = {store.key(rows["din"], "a"), store.key(rows["din"], "b"), store.key(rows["deepctr"], "a")}
    assert len(keys) == 3
    named = rows["din"]._replace(config=rows["din"].config.model_copy(update={"name": "other"}))
    assert store.key(named, "a") == store.key(rows["din"], "a")  # trained in the same way
    monkeypatch.setattr(peer_environment, "REQUIREMENTS", ("deepctr==1",))
    assert RowStore(tmp_path).key(rows["deepctr"], "a") != store.key(rows["deepctr"], "a")
    assert RowStore(tmp_path).key(rows["din"], "a") == store.key(rows["din"], "a")


def test_a_key_follows_the_content_of_initial_embeddings_and_has_no_such_part_without(tmp_path):
    (tmp_path / "items.npz").write_bytes(b"one")
    setting = f'features.behaviours.item.embeddings="{tmp_path / "items.npz"}"'
    without, with_file = (Planned("x", "din", 0, load_config("movielens", settings)) for settings in ([], [setting]))
    store = RowStore(tmp_path)
    parts = ["din", without.config.din.model_dump_json(), "a", store._code, ""]
    assert store.key(without, "a") == hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    first = store.key(with_file, "a")
    (tmp_path / "items.npz").write_bytes(b"other")
    assert store.key(with_file, "a") != first


@pytest.mark.parametrize(
    ("module", "retrains"),
    [
        ("din_trainer.training.fit", True),
        ("din_trainer.training.lazy_adam", True),  # through the loop
        ("din_trainer.layers.dice", True),  # through the models and the MLP
        ("din_trainer.transform.preprocessing", True),
        ("din_trainer.transform.raw_schema", True),
        ("benchmarks.quality.experiment", True),
        ("din_trainer.export.signatures", False),
        ("components.verdict", False),
        ("pipeline.report.page", False),
        ("benchmarks.suite.suite_tables", False),
    ],
)
def test_a_row_is_trained_again_after_an_edit_of_what_trains_it(edit_module, tmp_path, module, retrains):
    planned = Planned("x", "din", 0, load_config("movielens"))
    before = RowStore(tmp_path).key(planned, "a")
    edit_module(module)
    assert (RowStore(tmp_path).key(planned, "a") != before) == retrains
