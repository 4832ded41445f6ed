"""`din import clicklog SOURCE --guess` as a command: what it prints, and with which options it is refused."""

import tomllib
from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.pipeline.datasets.guess.forms import FORMS

LOG = FORMS["clicks.csv"][0]()


@pytest.fixture
def log(tmp_path: Path) -> str:
    (tmp_path / "clicks.csv").write_text(LOG)
    return str(tmp_path / "clicks.csv")


def test_it_prints_the_mapping_and_nothing_else(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "clicklog", log, "--guess"]) == 0
    printed = capsys.readouterr()
    assert tomllib.loads(printed.out)["columns"]["user_id"] == "visitor" and printed.err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["clicks.csv"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("clicklog", ["--out", "x"], "--guess only prints a mapping and imports nothing: leave out --out."),
        ("clicklog", ["--json", "--history", "3"], "leave out --json and --history."),
        ("clicklog", ["--mapping", "m.toml", "--skip-broken"], "leave out --mapping and --skip-broken."),
        ("movielens", [], "--guess is for clicklog: movielens needs no mapping."),
    ],
)
def test_options_that_do_not_go_with_it(log: str, name: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", name, log, "--guess", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.endswith(f"{message}\n") and printed.err.count("\n") == 1


def test_an_import_needs_a_folder_to_write_and_a_mapping(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "clicklog", log]) == 2
    assert capsys.readouterr().err == "din: --out is missing: name the folder for the data set, a new or an empty one.\n"
    assert main(["import", "clicklog", log, "--out", str(tmp_path / "out")]) == 2
    assert "a click log needs --mapping FILE.toml: --guess in place of --out prints one to begin with." in capsys.readouterr().err
