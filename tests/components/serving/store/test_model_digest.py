"""The digest changes with what a model answers, and with nothing else."""

from components.serving.store.model_digest import model_digest
from tests.components.serving.saved_models import save_model


def test_digest_sees_weights_assets_and_signatures_but_no_warm_up_requests(tmp_path):
    model = save_model(tmp_path / "model", 1)
    digest = model_digest(model)
    assert model_digest(save_model(tmp_path / "same", 1)) == digest
    assert model_digest(save_model(tmp_path / "other", 2)) != digest
    assert model_digest(save_model(tmp_path / "biased", 1, bias=0.5)) != digest
    (model / "assets.extra").mkdir()
    (model / "assets.extra" / "tf_serving_warmup_requests").touch()
    (model / "signatures.md").touch()
    assert model_digest(model) == digest
    (model / "assets.extra" / "din.json").touch()
    assert model_digest(model) != digest
    (model / "assets.extra" / "din.json").unlink()
    next((model / "assets").iterdir()).write_text("a\nc\n")
    assert model_digest(model) != digest
