"""Text from data is escaped where it is printed: control characters, line ends, overrides of the writing direction (case 22)."""

import ast
import io
import json
import re
from types import SimpleNamespace

import pytest
from rich.table import Table

from components.base.errors import InputError
from pipeline.cli import main as cli
from pipeline.console import Console
from pipeline.records.summary import Summary
from pipeline.records.summary_tables import print_summary
from pipeline.terminal import Progress, complain, printable, say
from tests.conftest import ROOT

HOSTILE = "a\x1b[31m\r\nb\u202ec\x00\x7f\x9b\udcf6"
ESCAPED = r"a\x1b[31m\r\nb\u202ec\x00\x7f\x9b\udcf6"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich – 東京 🛒 नमस्ते", "Zürich – 東京 🛒 नमस्ते"),
        ("[bold] :smile: \\n", "[bold] :smile: \\n"),
        (HOSTILE, ESCAPED),
        ("\t\x07\x08\x85\u2028\u2066\u200b\ufeff", r"\t\x07\x08\x85\u2028\u2066\u200b\ufeff"),
        ("می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"),  # the joiners are part of words and of emoji
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_only_control_characters_are_escaped(text, shown):
    assert printable(text) == shown


def test_a_terminal_that_cannot_show_a_character_gets_its_number(capsys):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("Zürich – 東", stream)
    assert stream.buffer.getvalue() == rb"Z\xfcrich \u2013 \u6771" + b"\n"


def test_lines_and_complaints_are_one_line_each(capsys):
    say(HOSTILE)
    complain(HOSTILE)
    assert capsys.readouterr() == (f"{ESCAPED}\n", f"din: {ESCAPED}\n")


def printed(*renderables, **options):
    file = io.StringIO()
    console = Console(file=file, width=400, **options)
    for renderable in renderables:
        console.print(renderable)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "legacy_windows": False}])
def test_the_console_escapes_every_part_of_a_table(options):
    table = Table(f"header {HOSTILE}", title=f"title {HOSTILE}", caption=f"caption {HOSTILE}")
    table.add_row(f"cell {HOSTILE} [bold] :smile:")
    shown = printed(table, f"line {HOSTILE}", **options)
    for part in ("header", "title", "caption", "cell", "line"):
        assert f"{part} {ESCAPED}" in shown
    assert "[bold] :smile:" in shown
    assert "\x1b[31m" not in shown and "\r" not in shown and shown.count("\n") == 8


def test_the_progress_escapes_details():
    """Those of `din import` may name a file."""
    file = io.StringIO()
    progress = Progress(Console(file=file, width=400, force_terminal=True))
    progress.start(f"read {HOSTILE}")
    progress.detail(HOSTILE)
    progress.finish()
    shown = file.getvalue()
    assert f"read {ESCAPED}" in shown and "\x1b[31m" not in shown and "\u202e" not in shown


def test_the_summary_of_a_run_escapes_ids_columns_reasons_and_paths():
    summary = Summary(
        run_id="1",
        name="demo",
        status="refused",
        refused_because=f"reason {HOSTILE}",
        sample_predictions=[{f"column {HOSTILE}": f"id {HOSTILE}", "probability": 0.5}],
        model_path=f"/m/{HOSTILE}",
    )
    file = io.StringIO()
    print_summary(summary, Console(file=file, width=400))
    for part in ("reason ", "column ", "id ", "/m/"):
        assert part + ESCAPED in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_din_runs_escapes_run_ids_data_and_reasons(tmp_path, capsys):
    run_id = HOSTILE.replace("\x00", "").replace("\udcf6", "")
    Summary(run_id=run_id, name="demo", status="failed", data=f"/data/{HOSTILE}", refused_because=HOSTILE).write(tmp_path)
    assert cli.main(["runs", "--workspace", str(tmp_path)]) == 0
    shown = "".join(capsys.readouterr().out.split())  # a narrow table folds its cells
    assert shown.count(printable(run_id)) == 2 and ESCAPED in shown
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(shown)
    assert cli.main(["runs", "--workspace", str(tmp_path), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii() and out.count("\n") == 1
    assert json.loads(out)[0]["refused_because"] == HOSTILE


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--workspace", "x", f"--{HOSTILE}"],
        ["synth", "--preset", HOSTILE, "--out", "x"],
        ["synth", "--examples", HOSTILE, "--out", "x"],
        ["import", HOSTILE, "x", "--out", "x"],
        [HOSTILE],
    ],
)
def test_errors_of_the_command_line_are_escaped(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--workspace", HOSTILE.replace("\x00", "")],
        ["run", "--config", HOSTILE.replace("\x00", "")],
        ["run", "--set", f"{HOSTILE}=1"],
        ["run", "--set", f"name={HOSTILE}"],
        ["predict", "--model", HOSTILE.replace("\x00", ""), "x"],
        ["import", "movielens", HOSTILE.replace("\x00", ""), "--out", "x"],
        ["report", "--workspace", ".", "--run", HOSTILE.replace("\x00", "")],
    ],
)
def test_reasons_are_one_escaped_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("din: ") and err.count("\n") == 1
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(err)


@pytest.mark.parametrize("error", [InputError(HOSTILE), ValueError(HOSTILE), OSError(71, "Protocol error", HOSTILE)])
def test_no_exception_reaches_the_terminal_as_it_is(error, monkeypatch, capsys):
    def fail(args):
        raise error

    arguments = SimpleNamespace(call=fail)
    monkeypatch.setattr(cli, "make_parser", lambda: SimpleNamespace(parse_args=lambda argv: arguments))
    assert cli.main([]) == (2 if isinstance(error, InputError) else 1)
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(capsys.readouterr().err)


PRINTERS = {"pipeline/terminal.py", "pipeline/console.py", "pipeline/cli/reference.py"}  # the last one writes docs/cli.md
NOT_TO_A_TERMINAL = {"benchmarks/peers/workers/harness.py", "benchmarks/peers/worker_process.py"}


def test_nothing_is_printed_past_the_one_place():
    """A command prints with `say`, `complain` and `pipeline.console.Console`."""
    found = []
    for package in ("pipeline", "components", "din_trainer", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name not in PRINTERS | NOT_TO_A_TERMINAL:
                found += [f"{name}:{node.lineno}" for node in ast.walk(ast.parse(path.read_text())) if prints(node)]
    assert found == []


def prints(node):
    if isinstance(node, ast.ImportFrom):
        return node.module in ("rich.console", "rich.text", "rich.markup") or (node.module == "rich" and node.names[0].name == "print")
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return called in ("print", "pprint", "sys.stdout.write", "sys.stderr.write", "sys.stdout.writelines", "traceback.print_exc") or (
        called == "terminal.write"
    )


def test_what_counts_as_printing():
    sources = {"print(1)": True, "from rich.console import Console": True, "say('x')": False, "console.print('x')": False}
    for source, found in sources.items():
        assert any(prints(node) for node in ast.walk(ast.parse(source))) == found


def test_cached_steps_of_days_share_a_line():
    """Two cached days of a node, then its new day; other cached steps have lines of their own."""
    stream = io.StringIO()
    progress = Progress(Console(file=stream, width=80), {"StatisticsGen.2026-11-24": 10})
    for step, cached in (
        ("StatisticsGen.2026-11-22", True),
        ("StatisticsGen.2026-11-23", True),
        ("StatisticsGen.2026-11-24", False),
        ("ExampleValidator.2026-11-22", True),
        ("DataGate.2026-11-22", True),
        ("Transform", True),
    ):
        progress.start(step)
        if cached:
            progress.mark_cached()
        progress.finish()
    shown = re.sub(r" +[0-9.]+ s +", ": ", re.sub(r"[0-9,]+ examples", "N examples", stream.getvalue()))
    assert [line.strip() for line in shown.splitlines()] == [
        "StatisticsGen × 2: cached",
        "StatisticsGen.2026-11-24: N examples/s",
        "ExampleValidator.2026-11-22: cached",
        "DataGate.2026-11-22: cached",
        "Transform: cached",
    ]
    assert len(progress.cached) == 5 and len(progress.seconds) == 6
