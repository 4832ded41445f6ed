"""Runs that must not push: labels without signal, data that does not fit, a bad configuration."""

import re

import pytest

from tests.e2e.conftest import din, run


def test_coin_flip_labels_are_refused(tmp_path):
    settings = ["synthetic.labels=random", "synthetic.examples=20000", "synthetic.users=200", "synthetic.items=100"]
    result = din(
        "run", "--json", "--workspace", tmp_path, *(f"--set={s}" for s in [*settings, "training.epochs=1", "training.batch_size=512"])
    )
    summary = result.summary
    assert (result.code, summary["status"], summary["pushed_version"]) == (3, "refused", None)
    assert summary["metrics"]["auc"] == pytest.approx(0.5, abs=0.06)  # 2,000 impressions: three standard deviations are 0.04
    assert summary["oracle"]["auc"] == 0.5
    assert re.fullmatch(r"auc is 0\.\d{4}, but at least 0\.6 is asked for\.", summary["refused_because"])
    assert not list(tmp_path.glob("serving/**/saved_model.pb"))


def test_the_data_gate_stops_the_run(tmp_path, tiny_data):
    """A curated schema that the data breaks: feature, split and reason are named, and nothing is trained."""
    schema = tmp_path / "curated.pbtxt"
    fields = "".join(
        f'feature {{ name: "{name}" type: INT shape {{}} }}\n' for name in ("candidate_item_id", "candidate_category_id", "label")
    )
    histories = "".join(
        f'feature {{ name: "historical_{name}_ids" type: INT value_count {{ min: 0 }} }}\n' for name in ("item", "category")
    )
    schema.write_text(fields + histories + 'feature { name: "user_id" type: INT shape {} int_domain { max: 10 } }\n')
    result = run(tmp_path / "workspace", tiny_data, (f"data_schema.file={schema}",))
    summary = result.summary
    assert (result.code, summary["status"], summary["blessed"], summary["metrics"]) == (2, "data_refused", None, None)
    for split in ("train", "validation", "eval"):
        assert f"feature user_id, split {split}: Out-of-range values" in summary["refused_because"]
    assert "Transform" not in summary["seconds"]["components"]
    assert summary["refused_because"] in result.err


def test_bad_data_is_refused_before_tensorflow_starts(tmp_path):
    result = run(tmp_path / "workspace", tmp_path / "nowhere")
    assert (result.code, result.summary["status"]) == (2, "data_refused")
    assert set(result.summary["seconds"]["components"]) <= {"check data"}
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("args, reason", [
    (["--set", "training.epoch=3"], "did you mean 'training.epochs'?"),
    (["--config", "dmeo"], "did you mean 'demo'?"),
])  # fmt: skip
def test_bad_configuration_starts_nothing(tmp_path, args, reason):
    result = din("run", "--workspace", tmp_path / "w", *args)
    assert (result.code, result.out) == (2, "")
    assert reason in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "w").exists()
