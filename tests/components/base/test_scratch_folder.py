"""Folders for unfinished work: deleted at the end, and by the next process after a kill."""

import os
import signal
import subprocess
import sys

import pytest

from components.base.scratch_folder import clear_scratch, scratch_folder
from tests.conftest import ROOT

LEAVE_A_FOLDER = """
import os, signal, sys
from pathlib import Path
from components.base.scratch_folder import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_one(parent):
    done = subprocess.run([sys.executable, "-c", LEAVE_A_FOLDER, str(parent)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    (left,) = parent.glob(".din-unfinished-*")
    return left


def test_it_is_deleted_at_the_end_and_after_an_exception(tmp_path):
    with pytest.raises(RuntimeError), scratch_folder(tmp_path) as folder:
        (folder / "sub").mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path):
    left = kill_one(tmp_path)
    assert (left / "half").exists()
    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_living_processes_and_strangers_keep_theirs(tmp_path):
    for name in ("data", ".din-unfinished-without-a-lock", ".other-unfinished-1"):
        (tmp_path / name).mkdir()
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path) as second:
        clear_scratch(tmp_path)
        assert first.exists() and second.exists() and first != second
    assert len(list(tmp_path.iterdir())) == 3


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError), scratch_folder(tmp_path / "nowhere"):
        pass
    clear_scratch(tmp_path / "nowhere")


def test_names_that_are_no_text_are_found_too(tmp_path):
    place = tmp_path / os.fsdecode(b"caf\xe9\n")
    place.mkdir()
    kill_one(place)
    clear_scratch(place)
    assert list(place.iterdir()) == []
