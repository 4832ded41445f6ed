"""Real data: MovieLens latest-small, imported, trained, evaluated and pushed. Skipped where the folder is not there."""

from tests.e2e.conftest import din


def test_movielens_is_pushed(shared_data, tmp_path):
    imported = din("import", "movielens", shared_data / "ml-latest-small", "--out", tmp_path / "ml")
    assert imported.code == 0, imported.err
    assert "71,078 train, 9,818 validation, 19,940 eval impressions" in imported.out
    result = din("run", "--json", "--config", "movielens", "--data", tmp_path / "ml", "--workspace", tmp_path / "workspace")
    summary = result.summary
    assert (result.code, summary["status"], summary["name"]) == (0, "pushed", "movielens"), summary["refused_because"]
    assert summary["oracle"] is None
    assert all(threshold["passed"] for threshold in summary["thresholds"])
    assert len(summary["sample_predictions"]) == 5
    assert summary["pushed_path"].startswith(str(tmp_path / "workspace" / "serving" / "movielens"))

    scored = din("predict", "--model", summary["pushed_path"], tmp_path / "ml" / "sample.jsonl")
    assert scored.code == 0 and scored.out.count("\n") == 20, scored.err
