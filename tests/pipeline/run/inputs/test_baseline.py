"""The served model as a baseline."""

import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from components.base.errors import InputError
from components.serving.store.versions import write_rolled_back
from pipeline.configuration.load_config import load_config
from pipeline.run.inputs.baseline import link_baseline
from tests.pipeline.run.served_versions import label, serve


def link(workspace, *settings):
    return link_baseline(load_config(None, settings), workspace / "serving" / "default", workspace / "baseline")


def test_nothing_served_is_no_baseline(tmp_path):
    assert link(tmp_path) is None


def test_the_stable_version_is_the_baseline(tmp_path):
    stable = serve(tmp_path, 9)
    serve(tmp_path, 10)
    label(tmp_path, stable=9, canary=10)
    assert (link(tmp_path) / "Format-Serving").resolve() == stable


def test_the_highest_version_is_the_baseline_where_none_has_a_label(tmp_path):
    serve(tmp_path, 9)
    newest = serve(tmp_path, 10)
    assert (link(tmp_path) / "Format-Serving").resolve() == newest


def test_what_was_rolled_back_is_no_baseline_unless_named(tmp_path):
    """The rollback was killed before it moved the labels."""
    first, bad = serve(tmp_path, 9), serve(tmp_path, 10)
    label(tmp_path, stable=10, canary=10)
    write_rolled_back(tmp_path / "serving" / "default", {10})
    assert (link(tmp_path) / "Format-Serving").resolve() == first
    assert (link(tmp_path, "evaluation.baseline=10") / "Format-Serving").resolve() == bad
    write_rolled_back(tmp_path / "serving" / "default", {9, 10})
    assert link(tmp_path) is None


def test_what_is_served_must_be_known_before_training(tmp_path):
    serve(tmp_path, 9)
    label(tmp_path, stable=8, canary=8)
    with pytest.raises(InputError, match="names version 8, which is not there"):
        link(tmp_path)


def test_a_workspace_may_move(tmp_path):
    serve(tmp_path / "here", 1)
    link(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert (link(tmp_path / "there") / "Format-Serving").resolve() == tmp_path / "there" / "serving" / "default" / "1"


def test_a_baseline_with_other_features_is_refused_before_training(tmp_path):
    serve(tmp_path, 1)
    with pytest.raises(InputError, match="reads candidate_category_id, historical_category_ids, which this configuration lacks"):
        link(tmp_path, "features.behaviours.category=false")
    with pytest.raises(InputError, match="reads user_id, which"):
        link(tmp_path, "features.user.user_id.dtype=bytes")
    assert link(tmp_path, "features.context.hour.kind=numeric") is not None  # one more feature does no harm


def test_a_run_may_name_another_version_or_none(tmp_path):
    first = serve(tmp_path, 9)
    serve(tmp_path, 10)
    assert (link(tmp_path, "evaluation.baseline=9") / "Format-Serving").resolve() == first
    assert link(tmp_path, "evaluation.baseline=none") is None
    with pytest.raises(InputError, match=r"has no version 8: evaluation\.baseline can be 9, 10\."):
        link(tmp_path, "evaluation.baseline=8")


def write_graph(folder, op):
    """A SavedModel whose only signature is one operation."""
    model = SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="score", op=op)
    graph.signature_def["serving_default"].outputs["probability"].name = "score:0"
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())


def test_a_run_may_name_a_folder(tmp_path):
    serve(tmp_path, 9)
    elsewhere = serve(tmp_path / "elsewhere", 9)
    write_graph(elsewhere, "Sigmoid")
    linked = link(tmp_path, f"evaluation.baseline={elsewhere}")
    assert (linked / "Format-Serving").resolve() == elsewhere
    assert linked != link(tmp_path)
    write_graph(elsewhere, "Tanh")
    assert link(tmp_path, f"evaluation.baseline={elsewhere}") != linked  # TFX's cache knows a baseline by its folder
    with pytest.raises(InputError, match="it can be served, none, a version of"):
        link(tmp_path, f"evaluation.baseline={tmp_path / 'nowhere'}")
    write_graph(elsewhere, "WriteFile")
    with pytest.raises(InputError, match="does more than compute"):
        link(tmp_path, f"evaluation.baseline={elsewhere}")
