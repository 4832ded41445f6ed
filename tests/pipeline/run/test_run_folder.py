"""The folder, the locks and the temporary files of a run."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from components.base.errors import InputError
from pipeline.run.run_folder import run_folder
from tests.conftest import ROOT

LEAVE_A_FILE = """
import os, signal, subprocess, sys, tempfile
from pathlib import Path
from pipeline.run.run_folder import run_folder
with run_folder(Path(sys.argv[1]), "demo"):
    tempfile.NamedTemporaryFile(prefix="__autograph_generated_file", delete=False)
    subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkstemp(prefix='of-a-child')"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_one_run_at_a_time(tmp_path):
    with run_folder(tmp_path, "demo"), pytest.raises(InputError, match="Another run is using"), run_folder(tmp_path, "demo"):
        pass
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_ids_sort_by_age_even_if_the_clock_is_set_back(tmp_path):
    """Three runs of one second, and one after a run whose id has a later time. What else is in the folder does not matter."""
    ids = []
    for number in range(4):
        if number == 3:
            (tmp_path / "runs" / "29991231-235959-other").mkdir()
            (tmp_path / "runs" / "29999999-999999-no-time").mkdir()
            (tmp_path / "runs" / "notes").mkdir()
        with run_folder(tmp_path, "demo") as folder:
            ids.append(folder.name)
    assert ids == sorted(set(ids)) and ids[3] == "30000101-000000-demo"


@pytest.mark.parametrize("given", [True, False])
def test_temporary_files_have_a_folder_of_their_own(tmp_path, monkeypatch, given):
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    if given:
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    else:
        monkeypatch.delenv("TMPDIR", raising=False)
        monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "tmp")])
    with run_folder(tmp_path / "workspace", "demo"):
        file = Path(tempfile.mkstemp()[1])
        assert file.parent == Path(os.environ["TMPDIR"]) and file.parent.parent == tmp_path / "tmp"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert os.environ.get("TMPDIR") == (str(tmp_path / "tmp") if given else None)
    assert tempfile.gettempdir() == str(tmp_path / "tmp")


def test_the_next_run_deletes_the_temporary_files_of_a_killed_one(tmp_path, monkeypatch):
    """Those of its children, too: `__autograph_generated_file*.py` stayed for ever (case 21)."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    killed = subprocess.run([sys.executable, "-c", LEAVE_A_FILE, str(tmp_path / "workspace")], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "tmp").iterdir()
    assert sorted(path.name[:10] for path in left.iterdir()) == [".lock", "__autograp", "of-a-child"]
    with run_folder(tmp_path / "workspace", "demo"):
        assert not left.exists()


def test_no_place_for_temporary_files_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])
    with pytest.raises(InputError, match="There is no folder for temporary files"), run_folder(tmp_path, "demo"):
        pass


def test_a_workspace_whose_database_sqlite_cannot_open_is_one_sentence(tmp_path):
    """A path of 850 characters (case 22). SQLite opens paths of at most 512 bytes, `-journal` included."""
    long = tmp_path.joinpath(*(["x" * 99] * 8))
    with pytest.raises(InputError, match=r"its path is \d\d\d bytes longer than SQLite can open"), run_folder(long, "demo"):
        pass
    assert not long.exists()


@pytest.mark.parametrize("name", ["a\nb", "a\x1bb", os.fsdecode(b"a\xff"), "a*", "a[1]"])
def test_a_path_that_tfx_cannot_use_is_one_sentence(tmp_path, name):
    with pytest.raises(InputError, match="TFX cannot work below a path"), run_folder(tmp_path / name, "demo"):
        pass
    assert list(tmp_path.iterdir()) == []
