"""The `din` command: what it prints and how it ends, without running a pipeline."""

import json
import os
import subprocess
import sys

import pytest

from components.base.errors import InputError
from pipeline.cli.main import main, make_parser
from pipeline.records.summary import Summary
from tests.pipeline.cli.test_reference import all_commands

LIST_HEAVY_IMPORTS = """
import contextlib, io, json, sys
from pipeline.cli.main import main, make_parser
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(arguments)
    print(arguments, *sorted({"tensorflow", "keras", "apache_beam", "pyarrow", "numpy"} & set(sys.modules)))
"""


def test_help_and_lists_answer_without_heavy_imports():
    commands = [[], *(command.prog.split()[1:] for command in all_commands(make_parser()))]
    calls = [*([*command, "--help"] for command in commands), ["runs", "--workspace", "."]]
    done = subprocess.run([sys.executable, "-c", LIST_HEAVY_IMPORTS, json.dumps(calls)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(call) for call in calls]


def test_synth_writes_a_data_set_and_prints_the_oracle(tmp_path, capsys):
    small = ["--examples", "1000", "--users", "20", "--items", "30"]
    features = ["--item-features", str(tmp_path / "items.npz")]
    assert main(["synth", *small, *features, "--out", str(tmp_path / "data")]) == 0
    out = capsys.readouterr().out
    assert "800 train, 100 validation, 100 eval impressions" in out and "oracle on eval: auc 0." in out
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["config"]["users"] == 20 and (tmp_path / "items.npz").exists()


def test_what_libraries_print_in_an_import_is_not_shown(tmp_path, monkeypatch, capfd):
    """TensorFlow, which reads logs of requests, prints to the file descriptor of stderr."""

    def chatter(*_):
        os.write(2, b"I0000 port.cc: oneDNN custom operations are on\n")
        raise InputError("no request_id")

    monkeypatch.setattr("pipeline.datasets.sources.by_name.open_source", chatter)
    assert main(["import", "requests", "logs", "--out", str(tmp_path / "data")]) == 2
    assert capfd.readouterr().err == "din: no request_id\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["synth", "--examples", "-5", "--out", "x"], "examples"),
        (["synth", "--out", "/dev/null/x"], "cannot be written"),
        (["import", "movielens", "nowhere", "--out", "x"], "nowhere"),
        (["predict", "--model", "nowhere", "x.jsonl"], "nowhere holds no saved_model.pb"),
        (["predict", "--model", "nowhere", "."], "name a file for its scores with --out"),
        (["runs", "--workspace", "nowhere"], "nowhere is no folder"),
        (["bench", "quality", "--set", "training.epoch=1"], "did you mean 'training.epochs'?"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.startswith("din: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--span", "latest"], "--span needs --data: name the folder that holds the spans."),
        (["--until-current"], "--until-current needs --data: name the folder that holds the spans."),
        (
            ["--data", "days", "--window", "7"],
            "--window needs --span or --until-current: write --span latest, or the span to judge a model on.",
        ),
        (["--data", "days", "--span", "latest", "--rerun-changed"], "--rerun-changed needs --until-current; --span runs a span again."),
        (["--data", "days"], "days holds spans: name the one to judge a model on with --span, or run all with --until-current."),
        (["--data", "days", "--span", "latest", "--window", "-1"], "spans.window"),
        (
            ["--data", "days", "--until-current", "--span", "2026-11-25"],
            "has no span '2026-11-25': --span can be latest, or one of 2026-11-24.",
        ),
        (["--data", ".", "--until-current"], "days is no span: name spans day=YYYY-MM-DD or span-N"),
    ],
)
def test_options_on_spans_that_do_not_fit_are_one_sentence(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "days" / "day=2026-11-24").mkdir(parents=True)
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.startswith("din: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "days"]


def test_nothing_to_run_is_said(tmp_path, monkeypatch, capsys):
    """With a window, the only day of a data set has nothing to learn from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "days" / "day=2026-11-24").mkdir(parents=True)
    assert main(["run", "--data", "days", "--until-current", "--window", "7"]) == 0
    alone = "2026-11-24 is not judged, because no span in the window of 7 is before it."
    assert capsys.readouterr().out == f"{alone}\nNo span waits for a run.\n"
    assert main(["run", "--data", "days", "--until-current", "--window", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"spans": [], "runs": [], "notes": [alone]}


def test_runs_lists_what_can_be_read(tmp_path, capsys):
    Summary(run_id="20260101-000000-demo", name="demo", status="pushed", metrics={"auc": 0.75}, pushed_version=7).write(tmp_path)
    broken = tmp_path / "runs" / "20260102-000000-demo" / "summary.json"
    broken.parent.mkdir()
    broken.write_text("{")
    assert main(["runs", "--workspace", str(tmp_path), "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert [(run["status"], run["pushed_version"]) for run in runs] == [("pushed", 7), ("failed", None)]


def test_a_crash_in_the_end_of_the_process_does_not_change_the_exit_status():
    """HDF5 crashes there after it could not write a checkpoint to a full disk: `din run` printed its sentence, and ended with -11."""
    crash = "import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.SIGSEGV))"
    code = f"{crash}; from pipeline.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "runs", "--workspace", "/nowhere"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "din: /nowhere is no folder: name a workspace with --workspace, or start a run with din run.\n"
    done = subprocess.run([sys.executable, "-c", code, "runs", "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("usage: din runs")
