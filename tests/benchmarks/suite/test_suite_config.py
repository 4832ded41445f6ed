"""What a suite may contain, and the messages about anything else."""

import pytest

from benchmarks.quality.compared_models import ROWS
from benchmarks.suite.suite_config import SET_BY_ROWS, load_suite, plan, suite_names
from components.base.errors import InputError
from pipeline.cli.main import main
from pipeline.datasets.importing.import_settings import ImportSettings

DATA = """
[[data]]
name = "ml"
title = "MovieLens"
importer = "movielens"
source = "ml"
config = "movielens"
"""


def written(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return str(file)


def test_a_suite_of_ones_own_is_named_for_its_file_and_has_the_usual_seeds_and_models(tmp_path):
    suite = load_suite(written(tmp_path, DATA))
    assert (suite.name, suite.seeds, suite.models) == ("mine", (0, 1, 2), tuple(ROWS))
    assert suite.data[0].options == {} and suite.data[0].settings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [", "is not valid TOML"),
        ("seeds = [0]", "data: Tuple should have at least 1 item"),
        ("seeds = []" + DATA, "seeds: Tuple should have at least 1 item"),
        ("seed = [0]" + DATA, r"there is no key 'seed': did you mean 'seeds'\?"),
        ("data = 3", r"data must be a list of tables: begin each with \[\[data\]\]"),
        ('models = ["din", "dien"]' + DATA, "no model is called 'dien': choose from lr, base, .*deepctr"),
        ("seeds = [1, 0, 1]" + DATA, "seeds: a seed occurs twice: name each seed once"),
        ('name = "../up"' + DATA, "name: String should match pattern"),
        (DATA + DATA, "two data sets are called 'ml': rename one"),
        (DATA.replace("movielens", "netflix", 1), "data set 1: importer: Input should be 'movielens', 'amazon'"),
        (DATA.replace('"ml"', '"../ml"', 1), "data set 1: name: String should match pattern"),
        (DATA + 'option = { split = "last" }', r"data set 1: there is no key 'option': did you mean 'options'\?"),
        (DATA + 'package = "recbole"', "data set 1: package: String should match pattern"),
        (DATA.replace("title", "titel"), r"data set 1: "),
    ],
)
def test_a_bad_suite_is_refused_in_a_sentence(tmp_path, text, message):
    with pytest.raises(InputError, match=f"(?s){message}"):
        load_suite(written(tmp_path, text))


def test_a_suite_in_another_encoding_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_bytes(b"# caf\xe9")
    with pytest.raises(InputError, match=r"mine\.toml is not UTF-8 \(byte 6\): save it as UTF-8\.$"):
        load_suite(str(file))


def test_seeds_are_the_first_of_the_suite_s(tmp_path):
    suite = load_suite(written(tmp_path, "seeds = [7, 3, 5]" + DATA))
    assert (suite.first_seeds(2), suite.first_seeds(None)) == ([7, 3], [7, 3, 5])


@pytest.mark.parametrize("key", SET_BY_ROWS)
def test_what_seeds_and_models_set_is_not_the_user_s_to_set(tmp_path, key):
    suite = load_suite(written(tmp_path, DATA))
    with pytest.raises(InputError, match=rf"^--set {key}: the seeds and models of the suite set this key: choose them with "):
        plan(suite, ["din"], [0], ["training.epochs=2", f"{key}=1"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('options = { spilt = "last" }', r"data set ml, options: there is no key 'spilt': did you mean 'split'\?"),
        ('mapping = "taobo"', r"No mapping is called 'taobo': name one of "),
    ],
)
def test_a_bad_import_is_refused_before_anything_is_done(tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        plan(load_suite(written(tmp_path, DATA + more)), ["din"], [0], [])


def test_an_unknown_suite_is_refused():
    with pytest.raises(InputError, match=r"^--suite: no suite is called 'defualt': name one of .*default.*, or a TOML file\.$"):
        load_suite("defualt")


def test_every_shipped_suite_has_configurations_and_settings_that_are_valid():
    for name in suite_names():
        suite = load_suite(name)
        planned = plan(suite, list(suite.models), list(suite.seeds), [])
        assert {data: len(rows) for data, rows in planned.items()} == {d.name: len(suite.models) * len(suite.seeds) for d in suite.data}
        for data in suite.data:
            ImportSettings(**data.options)


def test_a_row_has_the_settings_of_its_data_then_the_user_s_then_its_model_s(tmp_path):
    suite = load_suite(written(tmp_path, DATA + 'settings = ["training.epochs=7", "training.batch_size=64", "training.seed=9"]'))
    (first, second, third, _) = plan(suite, ["din", "mba"], [3, 4], ["training.epochs=2"])["ml"]
    assert [(row.model, row.seed, row.config.training.seed) for row in (first, second, third)] == [
        ("din", 3, 3),
        ("din", 4, 4),
        ("mba", 3, 3),
    ]
    assert (first.config.training.epochs, first.config.training.batch_size) == (2, 64)
    assert (first.config.training.regularization, third.config.training.regularization) == (1, 0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "default", "--config", "demo"], "din: --config does not go with --suite: leave one out."),
        (["--suite", "default", "--data", "x"], "din: --data does not go with --suite: leave one out."),
        (["--sources", "x"], "din: --sources does not go without --suite: leave one out."),
        (["--out", "x"], "din: --out does not go without --suite: leave one out."),
        (["--suite", "default", "--seeds", "0"], "din: --seeds 0: the suite default has 3 seeds in its file: choose 1 to 3."),
        (["--suite", "default", "--seeds", "4"], "din: --seeds 4: the suite default has 3 seeds in its file: choose 1 to 3."),
        (["--suite", "default", "--models", "adam"], "din: --models: no model is called 'adam': choose from lr, base"),
    ],
)
def test_options_that_contradict_each_other_are_refused(capsys, arguments, message):
    assert main(["bench", "quality", *arguments]) == 2
    assert capsys.readouterr().err.startswith(message)
