"""Reading of configurations: overrides, messages with the nearest key, shipped files."""

import pytest

from components.base.errors import InputError
from pipeline.configuration.load_config import config_names, load_config


def refused(*args, **kwargs):
    with pytest.raises(InputError) as error:
        load_config(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", config_names())
def test_shipped_configurations_load_under_their_own_name(name):
    assert load_config(name).name == name


def test_a_file_overrides_the_default_and_set_overrides_both(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[training]\nepochs = 7\nbatch_size = 32\n[evaluation.thresholds.auc]\nat_least = 0.7\n')
    config = load_config(str(file), ["training.epochs=9", "model.kind=base", "model.hidden=[8, 4]"])
    assert (config.name, config.training.epochs, config.training.batch_size) == ("mine", 9, 32)
    assert (config.model.kind, config.model.hidden) == ("base", (8, 4))
    auc = config.evaluation.thresholds["auc"]
    assert (auc.at_least, auc.worse_by_at_most) == (0.7, 0.005)  # the second one from default.toml


def test_features_are_added_and_removed_by_table():
    config = load_config(
        None, ["features.user.age.dtype=bytes", "features.context.hour.kind=numeric", "features.behaviours.category=false"]
    )
    assert list(config.features.user) == ["user_id", "age"]
    assert list(config.features.behaviours) == ["item"]
    assert [(c.name, c.role, c.presence) for c in config.features.columns] == [
        ("user_id", "user", "required"),
        ("age", "user", "optional"),
        ("candidate_item_id", "candidate", "required"),
        ("historical_item_ids", "behaviour", "sequence"),
        ("hour", "context", "optional"),
    ]


def test_unknown_keys_come_with_the_nearest_known_one():
    assert (
        refused(None, ["training.epoch=3"]) == "--set training.epoch=3: there is no key 'training.epoch': did you mean 'training.epochs'?"
    )
    assert "did you mean 'training'?" in refused(None, ["trainning.epochs=3"])
    assert "did you mean 'features.user.age.dtype'?" in refused(None, ["features.user.age.dtyp=bytes"])
    assert "did you mean 'evaluation.thresholds.auc.at_least'?" in refused(None, ["evaluation.thresholds.auc.at_lest=1"])
    assert "did you mean 'features.behaviours.item.oov_buckets'?" in refused(None, ["features.behaviours.item.oov_bucket=1"])
    assert "known here are name, " in refused(None, ["zzz=3"]).replace("features, model, training, ", "")


def test_unknown_configurations_come_with_the_nearest_known_one():
    assert refused("dmeo") == "No configuration is called 'dmeo': did you mean 'demo'?"


def test_bad_values_are_named():
    assert "training.batch_size" in refused(None, ["training.batch_size=0"])
    assert "is not of the form key=value" in refused(None, ["training.batch_size"])
    assert "no metric is called 'auk'" in refused(None, ["evaluation.thresholds.auk.at_least=0.5"])
    assert "evaluation.slices names 'nope'" in refused(None, ['evaluation.slices=["nope"]'])
    assert "worse_by_at_most has no meaning" in refused(None, ["evaluation.thresholds.calibration.worse_by_at_most=0.1"])
    assert "features.user.age is a table, not 'bytes'" in refused(None, ["features.user.age=bytes"])
    assert "vocabularies need names of their own" in refused(None, ["features.context.category.dim=4"])
    for setting in ("model.hidden=[0]", "training.seed=-1", "training.learning_rate=inf", "evaluation.thresholds.auc.at_least=nan"):
        assert setting.split("=")[0] in refused(None, [setting])
    assert "serving.base_path: it must be an absolute path or a URI" in refused(None, ["serving.base_path=models/demo"])
    assert "serving.keep" in refused(None, ["serving.keep=0"])
    assert "declared twice or reserved" in refused(None, ["features.context.label.kind=numeric"])


def test_broken_toml_is_named(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_bytes(b"\xff\xfe")
    assert f"{file} cannot be read" in refused(str(file))
    file.write_text("name = \n")
    assert f"{file} is not valid TOML" in refused(str(file))


@pytest.mark.parametrize("setting, reason", [
    ("drift.color.at_most=0.1", "drift names 'color', which is no declared feature: known are candidate_category_id, candidate_item_id,"),
    ("skew.label.at_most=0.1", "skew names 'label', which is no declared feature"),
    ("drift.label.measure=infinity_norm", "drift.label.measure is infinity_norm, which is for categories, but label is a number"),
    ("presence.now=0.5", "presence: now (0.5) is above before (0.1), so that data could fail against itself"),
])  # fmt: skip
def test_bounds_of_drift_fit_the_features(setting, reason):
    with pytest.raises(InputError) as error:
        load_config(None, [setting])
    assert str(error.value).startswith(f"--set {setting}: {reason}")


def test_a_bound_of_drift_refuses_unless_it_says_otherwise():
    config = load_config(None, ["drift.user_id.at_most=0.3", "skew.candidate_item_id.action=warn"])
    assert config.drift["user_id"].model_dump() == {"at_most": 0.3, "measure": "auto", "action": "refuse"}
    assert config.skew["candidate_item_id"].model_dump() == {"at_most": 0.1, "measure": "auto", "action": "warn"}
    assert config.presence.model_dump() == {"before": 0.1, "now": 0.01, "action": "refuse"}
