"""The space of a search: how it is read, which values are refused, and how a setting changes a configuration."""

import json

import pytest
from pydantic import ValidationError

from components.base.errors import InputError
from din_trainer.config import DINConfig
from din_trainer.tuning.search_space import (
    DEFAULT_SPACE,
    Range,
    check_space,
    choices_of,
    own_values,
    parse_space,
    plain,
    put_values,
    values_text,
    with_values,
)
from pipeline.configuration.load_config import load_config

RATE = "training.learning_rate"


def space(**settings):
    return [f"tuner.space.{key.replace('__', '.')}={value}" for key, value in settings.items()]


def test_a_key_with_dots_is_the_same_as_tables_in_each_other():
    rate = {"min": 0.001, "max": 0.1, "scale": "log"}
    read = {RATE: Range(min=0.001, max=0.1, scale="log"), "model.hidden": ([8], [16, 8])}
    assert parse_space({RATE: rate, "model.hidden": [[8], [16, 8]]}) == read
    assert parse_space({"training": {"learning_rate": rate}, "model": {"hidden": [[8], [16, 8]]}}) == read
    assert parse_space({"training": {"schedule": {"rate": {"min": 0.1, "max": 0.5}}}}) == {
        "training.schedule.rate": Range(min=0.1, max=0.5)
    }


def test_a_later_setting_replaces_an_earlier_one(tmp_path):
    """A file writes a key with dots, and `--set` writes tables: the option wins."""
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[tuner.space]\n"model.dropout" = [0.0, 0.2]\n"training.batch_size" = [64, 128]\n')
    read = load_config(str(file), ["tuner.space.model.dropout=[0.3]"]).tuner.space
    assert read == {"model.dropout": (0.3,), "training.batch_size": (64, 128)}


def test_a_configuration_with_a_space_is_read_again_from_its_json():
    config = load_config(
        "demo", ["tuner.trials=3", *space(training__batch_size="{min = 64, max = 512, scale = 'log'}", model__hidden="[[8]]")]
    )
    assert type(config).model_validate_json(config.model_dump_json()) == config


def test_without_a_space_the_default_one_is_searched_in_every_shipped_configuration():
    for name in ("demo", "movielens"):
        config = load_config(name, ["tuner.trials=3"])
        assert config.tuner.space == DEFAULT_SPACE
        check_space(DEFAULT_SPACE, config.din)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (space(training__learning_rat="[1]"), "there is no key 'training.learning_rat': the nearest one is 'training.learning_rate'"),
        (space(modle__dropout="[0.1]"), "there is no key 'modle.dropout': the nearest one is 'model.dropout'"),
        (space(features__history_length="[10, 20]"), "features.history_length changes what Transform makes"),
        (space(training__seed="[1, 2]"), "training.seed cannot be searched, because it says how the training runs"),
        (space(model="[1]"), "model is a table: name a key in it"),
        (space(training__schedule="[1]"), "training.schedule is a table: name a key in it"),
        (
            space(training__learning_rate="{min = 0.001, max = 3}"),
            "training.learning_rate = 3.0 is refused: Input should be less than or equal",
        ),
        (
            space(training__batch_size="{min = 0, max = 64}"),
            "training.batch_size = 0 is refused: Input should be greater than or equal to 1",
        ),
        (space(training__batch_size="{min = 1.5, max = 64}"), "training.batch_size = 1.5 is refused: Input should be a valid integer"),
        (space(model__hidden="[[64], [0]]"), "model.hidden = [0] is refused"),
        (space(model__hidden="[64, 32]"), "model.hidden = 64 is refused"),
        (space(model__dropout="[true]"), "model.dropout = true is refused: it must not be true or false"),
        (space(model__kind='["din", "dinn"]'), "model.kind = \"dinn\" is refused: Input should be 'lr', 'base'"),
        (space(model__kind="{min = 1, max = 2}"), "model.kind is not a number, so it has no range"),
        (space(model__hidden="{min = 1, max = 2}"), "model.hidden is not a number, so it has no range"),
        (space(training__clip_norm="{min = 1, max = 2}"), "training.clip_norm is not set, so the first trial has no number there"),
        (space(training__regularization="{min = 1e-4, max = 1, scale = 'log'}"), "which has no place on a log scale"),
        (space(model__dropout="{min = 0.3, max = 0.1}"), "model.dropout: min (0.3) must be below max (0.1)"),
        (space(model__dropout="{min = 0, max = 0.1, scale = 'log'}"), "model.dropout: scale = 'log' needs a min above 0"),
        (space(model__dropout="{min = 0}"), "model.dropout: max: Field required"),
        (space(model__dropout="{min = 0, max = 0.5, step = 0.1}"), "model.dropout: step: Extra inputs are not permitted"),
        (space(model__dropout="0.2"), "model.dropout is 0.2: give a range"),
        (space(model__dropout="[]"), "model.dropout has 0 values"),
        (space(model__dropout="[2026-11-28]"), "model.dropout has the value 2026-11-28, which no key takes"),
        (["tuner.space={}"], "name at least one"),
        (["tuner.trials=2", "training.workers=2"], "one process trains a trial: set training.workers to 1"),
        (["tuner.trials=2", "training.warm_start=served"], "a warm start keeps the settings of its start model"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence_when_the_configuration_is_read(settings, why):
    with pytest.raises(InputError) as error:
        load_config(None, settings)
    message = str(error.value)
    assert why in message
    assert message.startswith("--set ") and "\n" not in message and not message.endswith("..")


def test_a_wrong_space_is_refused_without_trials_too_but_a_search_that_is_not_asked_for_refuses_nothing():
    with pytest.raises(InputError, match=r"no key 'model\.nope'"):
        load_config(None, ["tuner.trials=0", "tuner.space.model.nope=[1]"])
    load_config(None, ["training.workers=2"])
    load_config(None, ["training.warm_start=served"])


def test_a_setting_replaces_its_keys_and_nothing_else():
    config = DINConfig.model_validate({"training": {"epochs": 7}, "model": {"dropout": 0.3}})
    values = {RATE: 0.002, "model.hidden": "[16, 8]", "training.schedule.kind": '"cosine"', "training.clip_norm": "null"}
    changed = with_values(config, values)
    assert (changed.training.learning_rate, changed.model.hidden, changed.training.schedule.kind) == (0.002, (16, 8), "cosine")
    assert (changed.training.epochs, changed.model.dropout, changed.training.clip_norm) == (7, 0.3, None)
    assert plain(values) == {RATE: 0.002, "model.hidden": [16, 8], "training.schedule.kind": "cosine", "training.clip_norm": None}
    assert put_values({"model": {"dropout": 0.1, "kind": "din"}}, {"model.dropout": 0.4}) == {"model": {"dropout": 0.4, "kind": "din"}}


def test_values_that_do_not_fit_together_are_refused():
    with pytest.raises(ValidationError, match="warmup_steps belong to kind = 'cosine'"):
        with_values(DINConfig(), {"training.schedule.kind": '"constant"', "training.schedule.warmup_steps": 5})


def test_the_configuration_s_own_value_is_always_among_the_choices_and_equal_values_are_one():
    config = DINConfig.model_validate({"model": {"dropout": 0.1, "hidden": [32]}})
    assert choices_of(config, "model.dropout", (0, 0.0, 0.2)) == ["0.0", "0.2", "0.1"]
    assert choices_of(config, "model.hidden", ([32], [64, 32])) == ["[32]", "[64, 32]"]
    assert choices_of(config, "training.clip_norm", (1, 5.0)) == ["1.0", "5.0", "null"]
    own = own_values(config, parse_space({RATE: {"min": 0.1, "max": 0.2}, "model.hidden": [[64]]}))
    assert own == {RATE: 0.001, "model.hidden": "[32]"}  # the learning rate is outside its range
    assert with_values(config, own) == config


def test_transform_counts_ids_only_if_a_training_or_a_trial_needs_the_counts():
    searched = "tuner.space.training.regularization=[0, 0.01]"
    counted = {
        (): False,
        ("training.regularization=0.01",): True,
        (searched,): False,  # without trials
        (searched, "tuner.trials=2"): True,
        ("tuner.space.training.regularization=[0]", "tuner.trials=2"): False,
        ("tuner.trials=2",): True,  # the default space has it
        ("tuner.space.training.regularization={min = 0, max = 1}", "tuner.trials=2"): True,
    }
    assert {settings: load_config(None, settings).counts_read for settings in counted} == counted


def test_values_are_shown_with_four_digits():
    assert values_text({RATE: 0.0012345678, "model.hidden": [64, 32], "training.epochs": 3}) == (
        "training.learning_rate 0.001235, model.hidden [64, 32], training.epochs 3"
    )
    assert json.dumps(plain({"model.dropout": 0.25})) == '{"model.dropout": 0.25}'
