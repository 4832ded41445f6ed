"""The table of `din bench quality`, from fake measurements."""

import pytest
from rich.console import Console

from benchmarks.quality.compared_models import MODELS, choose_models
from benchmarks.quality.model_table import WIDTH, choose_seeds, to_rows, to_table
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config

ORACLE = {"auc": 0.9, "gauc": 0.85, "log_loss": 0.4}


class Measured:
    """Replaces `benchmarks.quality.experiment.Measurement` without TensorFlow."""

    def __init__(self, auc, gauc, log_loss, validation_auc, seconds):
        self.auc, self.gauc, self.log_loss, self.validation_auc, self.seconds = auc, gauc, log_loss, validation_auc, seconds


MEASURED = {
    "base": [Measured(0.69, 0.61, 0.55, 0.68, 10.0), Measured(0.71, 0.63, 0.53, 0.72, 14.0)],
    "din": [Measured(0.76, 0.70, 0.50, 0.75, 20.0), Measured(0.72, 0.70, 0.52, 0.75, 24.0)],
}


def render(rows, oracle, seeds):
    console = Console(width=WIDTH)
    with console.capture() as capture:
        console.print(to_table(rows, oracle, seeds))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in capture.get().splitlines() if line.startswith("│")]


def test_rows_by_hand():
    base, din = to_rows(MEASURED, ORACLE)
    assert (base["name"], base["rela_impr"], base["seconds"]) == ("base", 0.0, 12.0)
    assert din == {
        "name": "din",
        "settings": ["model.kind=din"],
        "auc": {"mean": pytest.approx(0.74), "sd": pytest.approx(0.04 / 2**0.5), "values": [0.76, 0.72]},
        "gauc": {"mean": pytest.approx(0.7), "sd": 0.0, "values": [0.7, 0.7]},
        "log_loss": {"mean": pytest.approx(0.51), "sd": pytest.approx(0.02 / 2**0.5), "values": [0.5, 0.52]},
        "validation_auc": {"mean": 0.75, "sd": 0.0, "values": [0.75, 0.75]},
        "rela_impr": pytest.approx(0.24 / 0.2 - 1),
        "share_of_oracle": pytest.approx(0.24 / 0.4),
        "seconds": 22.0,
    }


def test_what_is_not_known_is_none():
    """One seed, data without users or oracle, and no base model to compare with."""
    (row,) = to_rows({"din": [Measured(0.75, None, 0.5, 0.74, 1.0)]}, None)
    assert row["auc"] == {"mean": 0.75, "sd": None, "values": [0.75]}
    assert row["gauc"] is row["rela_impr"] is row["share_of_oracle"] is None
    assert render([row], None, [0]) == [["DIN", "0.7500", "–", "0.5000", "0.7400", "–", "–", "1.0 s"]]


def test_without_a_lift_of_the_base_model_there_is_no_improvement():
    rows = to_rows({"base": [Measured(0.5, 0.5, 0.7, 0.5, 1.0)], "din": [Measured(0.7, 0.7, 0.6, 0.7, 1.0)]}, None)
    assert [row["rela_impr"] for row in rows] == [None, None]


def test_the_table_ends_with_the_oracle():
    base, din, oracle = render(to_rows(MEASURED, ORACLE), ORACLE, [0, 1])
    assert base == ["Base", "0.7000 ± 0.0141", "0.6200 ± 0.0141", "0.5400 ± 0.0141", "0.7000 ± 0.0283", "+0.00%", "50.0%", "12.0 s"]
    assert din == ["DIN", "0.7400 ± 0.0283", "0.7000 ± 0.0000", "0.5100 ± 0.0141", "0.7500 ± 0.0000", "+20.00%", "60.0%", "22.0 s"]
    assert oracle == ["oracle", "0.9000", "0.8500", "0.4000", "", "", "100.0%", ""]


def test_every_row_is_a_configuration_of_its_own():
    configs = {name: load_config("demo", model.settings) for name, model in MODELS.items()}
    assert len({config.model_dump_json() for config in configs.values()}) == len(MODELS)
    assert configs["din"] == load_config("demo")  # DIN's row is what `din run` trains


def test_models_are_chosen_by_name_in_the_table_s_order():
    assert choose_models(None) == list(MODELS)
    assert choose_models("din,lr,din") == ["lr", "din"]


@pytest.mark.parametrize("names", ["dien", "din,", ""])
def test_an_unknown_model_is_refused(names):
    with pytest.raises(InputError, match=r"^--models: no model is called '.*': choose from lr, base, .*adam\.$"):
        choose_models(names)


def test_seeds_go_on_from_the_configuration_s():
    assert choose_seeds(5, 3) == [5, 6, 7]
    with pytest.raises(InputError, match="--seeds 0: each model needs at least one"):
        choose_seeds(0, 0)
