"""`din report` and `din runs`."""

import json
import subprocess
import sys

import pytest

from pipeline.cli.main import main
from tests.pipeline.report.workspaces import SCRIPT, full_workspace, summary


def test_reports_the_last_evaluated_run_and_says_where(tmp_path, capsys):
    folder = full_workspace(tmp_path)
    summary(28, "failed", None).write(tmp_path)
    assert main(["report", "--workspace", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"{folder / 'report.html'}\n") and (folder / "report.html").exists()
    assert "overall" in out and "0.7" in out and "<script>" in out  # metrics and slices, with names as they are in the data


def test_reports_a_named_run_where_it_is_told(tmp_path, capsys):
    full_workspace(tmp_path)
    out = tmp_path / "elsewhere" / "r.html"
    assert main(["report", "--workspace", str(tmp_path), "--run", "20261104-090000-demo", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(f"{out}\n") and "20261104-090000-demo: Failed" in out.read_text()
    assert out.stat().st_size > 4e6 and not (tmp_path / "assets").exists()  # one file that has all


def test_compares_two_runs_beside_the_second(tmp_path, capsys):
    folder = full_workspace(tmp_path)
    assert main(["report", "--workspace", str(tmp_path), "--compare", "20261120-090000-demo", folder.name]) == 0
    assert capsys.readouterr().out == f"{folder / 'beside-20261120-090000-demo.html'}\n"


def test_json_is_the_content_and_no_file(tmp_path, capsys):
    folder = full_workspace(tmp_path)
    assert main(["report", "--workspace", str(tmp_path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["summary"]["run_id"] == folder.name and content["evaluation"]["replicates"] == 400 and len(content["history"]) == 6
    assert main(["report", "--workspace", str(tmp_path), "--compare", folder.name, folder.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["configuration"] == []
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workspace", "nowhere"], "nowhere is no folder"),
        ([], "has no run that was evaluated"),
        (["--run", "yesterday"], "yesterday is not a run in"),
        (["--run", "../../etc"], "is not a run in"),
        (["--compare", "one", "other"], "one is not a run in"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(arguments, reason, tmp_path, capsys):
    assert main(["report", "--workspace", str(tmp_path), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.startswith("din: ") and err.count("\n") == 1


def test_runs_shows_time_data_metrics_verdict_and_version(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    full_workspace(tmp_path)
    summary(25, "unchanged", 0.79, pushed_version=1795500020).write(tmp_path)
    assert main(["runs", "--workspace", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    pushed = next(line.split() for line in lines if line.startswith("20261120"))
    assert pushed == ["20261120-090000-demo", "2026-11-20", "09:00", "2026-11-20", "0.7840", "0.7640", "0.4560", "pushed", "1795500020"]
    assert next(line.split() for line in lines if line.startswith("20261125"))[-1] == "unchanged"
    assert any(line.startswith("20261104-090000-demo: AUC fell because of") for line in lines)
    assert any(line.rstrip().endswith("below at least 0.6 (and 1 more)") for line in lines)


def test_runs_prints_brackets_of_the_data_as_they_are(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    summary(1, "refused", 0.6, data="/data/[/red]", refused_because=f"city=[bold]{SCRIPT}").write(tmp_path)
    assert main(["runs", "--workspace", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert " red] " in out and "city=[bold]" in out


def test_answers_without_heavy_imports(tmp_path):
    full_workspace(tmp_path)
    code = "import sys\nfrom pipeline.cli.main import main\nmain(sys.argv[1:])\nprint(sorted(sys.modules))"
    arguments = ["report", "--workspace", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    for heavy in ("tensorflow", "keras", "apache_beam", "pyarrow", "sklearn"):
        assert f"'{heavy}'" not in done.stdout.splitlines()[-1]
