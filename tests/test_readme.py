"""The README is short, and its library example does what it says."""

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_it_fits_in_one_sitting():
    lines = README.splitlines()
    assert len(lines) <= 200
    assert [line for line in lines if len(line) > 165] == []


def test_the_library_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(import keras.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert (tmp_path / "din.keras").exists()


def test_the_classes_of_the_paper_are_where_it_says():
    rows = re.findall(r"^\| (?:figure|equation).*?\| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    assert len(rows) == 7
    for names, files in rows:
        code = "".join((ROOT / file).read_text() for file in re.findall(r"`(.*?)`", files))
        for name in re.findall(r"`(.*?)`", names):
            for part in name.split("."):
                assert re.search(rf"^ *(?:class|def) {part}\b", code, re.MULTILINE), f"{name} is not in {files}"
