"""`docs/cli.md` says what the parser says."""

from pipeline.cli.main import make_parser
from pipeline.cli.reference import arguments, make_reference, subcommands
from tests.conftest import ROOT


def all_commands(parser):
    for command in subcommands(parser).values():
        yield command
        yield from all_commands(command)


def test_the_page_is_up_to_date(monkeypatch):
    """If this fails: python -m pipeline.cli.reference > docs/cli.md"""
    monkeypatch.setenv("COLUMNS", "40")
    assert make_reference() == (ROOT / "docs" / "cli.md").read_text()


def test_every_command_has_a_section_and_every_argument_a_meaning():
    reference = make_reference()
    commands = list(all_commands(make_parser()))
    assert {"din run", "din import", "din bench", "din bench quality"} <= {command.prog for command in commands}
    for command in commands:
        assert f"# `{command.prog}`\n\n{command.description}\n" in reference
        for argument in arguments(command):
            assert argument.help, (command.prog, argument)
            assert all(option in reference for option in argument.option_strings)


def test_an_option_is_shown_as_it_is_typed():
    reference = make_reference()
    for row in (
        "| `--compare ID ID` |",
        "| `--config FILE\\|NAME` |",
        "| `--json` |",
        "| `--preset {notebook,demo,ads}` |",
        "| `--url URL` |",
    ):
        assert row in reference
