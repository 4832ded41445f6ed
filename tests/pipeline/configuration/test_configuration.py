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


TAGS = "features.user.likes.kind=tags"


@pytest.mark.parametrize("settings, message", [
    (["features.user.age.kind=tagz"], "features.user.age.kind is 'tagz', which is no kind of feature: did you mean 'tags'?"),
    (["features.user.age.kind=7"],
        "features.user.age.kind is 7, which is no kind of feature: there are categorical, tags, numeric, bucketized"),
    ([TAGS, "features.user.likes.wieghts=w"], "there is no key 'features.user.likes.wieghts' of a feature of kind 'tags': did you mean "
        "'features.user.likes.weights'?"),
    ([TAGS, "features.user.likes.embed=false"], "there is no key 'features.user.likes.embed' of a feature of kind 'tags': features of kind "
        "'categorical' have it."),
    (["features.user.age.scale=log"], "there is no key 'features.user.age.scale' of a feature of kind 'categorical': features of kind "
        "'numeric' have it."),
    (["features.context.p.kind=numeric", "features.context.p.zzz=1"],
        "there is no key 'features.context.p.zzz' of a feature of kind 'numeric': "
        "known here are lookup, column, kind, dtype, scale, clip, indicator."),
    (["features.context.p.kind=numeric", "features.context.p.scale=nope"], "features.context.p.scale: Input should be 'zscore', 'log',"),
    (["features.candidate.image.kind=vector"], "features.candidate.image.size: Field required."),
    (["features.candidate.image=vector"], "features.candidate.image is a table, not 'vector': set a key in it"),
    (["features.events.clicks.price=numeric"], "features.events.clicks.price is a table, not 'numeric': set a key in it"),
    (["features.events.clicks.price.kind=numeric", "features.events.clicks.price.clipp=1"],
        "there is no key 'features.events.clicks.price.clipp' of a feature of kind 'numeric': did you mean "
        "'features.events.clicks.price.clip'?"),
    (["features.candidates.price.kind=numeric"], "there is no key 'features.candidates': did you mean 'features.candidate'?"),
    (["features.position.rank.positons=5"],
        "there is no key 'features.position.rank.positons': did you mean 'features.position.rank.positions'?"),
    (["features.lookups.items.tabel=x"], "there is no key 'features.lookups.items.tabel': did you mean 'features.lookups.items.table'?"),
])  # fmt: skip
def test_an_error_of_a_feature_names_the_key_that_the_user_wrote(settings, message):
    """Pydantic's own location of an error has the kind of the feature in it, which is no key."""
    assert refused(None, settings).startswith(f"--set {settings[-1]}: {message}")


def test_a_feature_of_any_section_is_removed_by_false(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[features.candidate.price]\nkind = "numeric"\n[features.position.rank]\n[features.context.hour]\n'
        '[features.lookups.items]\ntable = "t.csv"\nkey = "id"\nof = "candidate_item_id"\n'
        '[features.events.clicks.dwell]\nkind = "numeric"\n'
        '[features.events.clicks.kept]\nkind = "numeric"\n'
    )
    removed = ["candidate.price", "position.rank", "context.hour", "lookups.items", "events.clicks.dwell"]
    features = load_config(str(file), [f"features.{name}=false" for name in removed]).features
    assert (features.candidate, features.position, features.context, features.lookups) == ({}, {}, {}, {})
    assert list(features.events["clicks"]) == ["kept"]
    assert load_config(str(file), ["features.events.clicks=false"]).features.events == {}
    assert load_config(str(file), ["features.time_gap=false"]).features.time_gap is False  # no table, so a value


def test_a_change_of_kind_takes_the_place_of_the_kind_in_the_file(tmp_path):
    """`user_id` has the keys of a categorical feature from the defaults, which a hashed one has not."""
    features = load_config(None, ["features.user.user_id.kind=hashed", "features.user.user_id.buckets=1000"]).features
    assert features.user["user_id"].model_dump() == {
        "lookup": "", "column": "", "kind": "hashed", "dtype": "int64", "buckets": 1000, "dim": 16
    }  # fmt: skip
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[features.user.age]\nkind = "numeric"\ndtype = "float"\n')
    age = load_config(str(file), ["features.user.age.kind=bucketized", "features.user.age.boundaries=[18, 30.5]"]).features.user["age"]
    assert (age.kind, age.dtype, age.boundaries) == ("bucketized", "float", (18.0, 30.5))


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
    ("skew.label.at_most=0.1", "skew names 'label', which is no feature of a request"),
    ("drift.label.measure=infinity_norm", "drift.label.measure is infinity_norm, which is for categories, but label is a number"),
    ("presence.now=0.5", "presence: now (0.5) is above before (0.1), so that data could fail against itself"),
])  # fmt: skip
def test_bounds_of_drift_fit_the_features(setting, reason):
    with pytest.raises(InputError) as error:
        load_config(None, [setting])
    assert str(error.value).startswith(f"--set {setting}: {reason}")


KINDS_OF_FEATURES = [
    "features.candidate.price.kind=bucketized",
    "features.candidate.price.boundaries=[10, 99.5]",
    "features.candidate.price.dtype=float",
    "features.candidate.brand.embed=false",
    "features.user.likes.kind=tags",
    "features.user.likes.weights=like_weights",
    "features.context.image.kind=vector",
    "features.context.image.size=1",
    "features.events.clicks.dwell.kind=numeric",
    "features.events.clicks.ages.kind=time_gap",
    "features.position.rank.positions=9",
    "features.weight=importance",
    'features.labels=["click", "purchase"]',
]


@pytest.mark.parametrize("name", ["price", "like_weights", "image", "dwell", "ages", "rank", "importance", "purchase", "timestamp"])
def test_numbers_have_no_infinity_norm(name):
    setting = f"drift.{name}.measure=infinity_norm"
    assert f"drift.{name}.measure is infinity_norm, which is for categories, but {name} is a number" in refused(
        None, [*KINDS_OF_FEATURES, setting]
    )
    assert name in load_config(None, [*KINDS_OF_FEATURES, f"drift.{name}.at_most=0.2"]).drift


@pytest.mark.parametrize("name", ["brand", "likes"])
def test_categories_have_both_measures(name):
    for measure in ("infinity_norm", "jensen_shannon_divergence"):
        assert load_config(None, [*KINDS_OF_FEATURES, f"drift.{name}.measure={measure}"]).drift[name].measure == measure


@pytest.mark.parametrize("name", ["brand", "rank", "importance", "purchase"])
def test_what_no_request_has_is_not_compared_with_requests(name):
    assert f"skew names '{name}', which is no feature of a request" in refused(None, [*KINDS_OF_FEATURES, f"skew.{name}.at_most=0.2"])
    load_config(None, [*KINDS_OF_FEATURES, "skew.likes.at_most=0.2", "skew.price.at_most=0.2"])


def test_one_slices_by_features_of_one_value_by_tags_and_by_buckets():
    names = ["user_id", "candidate_item_id", "brand", "rank", "likes_tag", "price_bucket", "dwell_length", "user_activity"]
    config = load_config(None, [*KINDS_OF_FEATURES, f"evaluation.slices={names}"])
    assert {name: column[:2] for name, column in config.slice_columns.items()} == {
        "historical_item_ids_length": ("length", "historical_item_ids"),
        "historical_category_ids_length": ("length", "historical_category_ids"),
        "dwell_length": ("length", "dwell"),
        "ages_length": ("length", "ages"),
        "likes_tag": ("tags", "likes"),
        "price_bucket": ("buckets", "price"),
        "item_popularity": ("count", "candidate_item_id"),
        "user_activity": ("count", "user_id"),
    }
    assert config.user_level == {"user_id", "likes", "likes_tag", "user_activity"}


@pytest.mark.parametrize("name, reason", [
    ("likes", "whose slices are called 'likes_tag': name that instead"),
    ("price", "whose slices are called 'price_bucket': name that instead"),
    ("like_weights", "which is no declared feature of one value"),
    ("image", "which is no declared feature of one value"),
    ("dwell", "whose slices are called 'dwell_length': name that instead"),
    ("importance", "which is no declared feature of one value"),
    ("purchase", "which is no declared feature of one value"),
    ("click", "which is no declared feature of one value"),
])  # fmt: skip
def test_what_has_no_slices_is_named(name, reason):
    """A slice by the label or by the weight in the loss would say nothing of the model."""
    assert f"evaluation.slices names '{name}', {reason}" in refused(None, [*KINDS_OF_FEATURES, f'evaluation.slices=["{name}"]'])


def test_a_threshold_on_a_bucket_names_one_that_exists():
    settings = [*KINDS_OF_FEATURES, 'evaluation.slices=["price_bucket", "likes_tag"]']
    for value in ("below 10", "10 to below 99.5", "99.5 or more", "*"):
        load_config(None, [*settings, f'evaluation.slice_thresholds=[{{metric="auc", slice={{price_bucket="{value}"}}, at_least=0.5}}]'])
    load_config(None, [*settings, 'evaluation.slice_thresholds=[{metric="auc", slice={likes_tag="jazz"}, at_least=0.5}]'])
    wrong = [*settings, 'evaluation.slice_thresholds=[{metric="auc", slice={price_bucket="10-20"}, at_least=0.5}]']
    assert "is for price_bucket=10-20, but its slices are 'below 10', '10 to below 99.5', '99.5 or more'" in refused(None, wrong)


def test_a_bound_of_drift_refuses_unless_it_says_otherwise():
    config = load_config(None, ["drift.user_id.at_most=0.3", "skew.candidate_item_id.action=warn"])
    assert config.drift["user_id"].model_dump() == {"at_most": 0.3, "measure": "auto", "action": "refuse"}
    assert config.skew["candidate_item_id"].model_dump() == {"at_most": 0.1, "measure": "auto", "action": "warn"}
    assert config.presence.model_dump() == {"before": 0.1, "now": 0.01, "action": "refuse"}
