"""A lock says whether the process that took it is alive."""

import errno
import fcntl

import pytest

from components.base.errors import InputError
from components.base.file_lock import hold_lock, is_locked


def test_it_is_held_once_until_the_end(tmp_path):
    file = tmp_path / "lock"
    assert not is_locked(file)
    with hold_lock(file):
        assert is_locked(file) and is_locked(file)
        with pytest.raises(BlockingIOError), hold_lock(file):
            pass
        assert is_locked(file)
    assert file.exists() and not is_locked(file)
    with hold_lock(file):
        pass


def test_a_file_system_without_locks_is_one_sentence(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(InputError, match=r"lock cannot be locked \(No locks available\): name a place"), hold_lock(tmp_path / "lock"):
        pass
