"""Files are complete or not there."""

import pytest

from components.base.atomic_files import write_durably, write_whole
from components.base.errors import InputError


def test_a_file_is_written_with_its_folder(tmp_path):
    write_whole(tmp_path / "new" / "file", ["one\n", "two\n"])
    assert (tmp_path / "new" / "file").read_text() == "one\ntwo\n"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    def lines():
        yield "half"
        raise RuntimeError

    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "file", lines())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{tmp_path / 'file' / 'below'} cannot be written"):
        write_whole(tmp_path / "file" / "below", [])


def test_a_durable_file_replaces_the_old_one(tmp_path):
    (tmp_path / "file").write_text("old")
    write_durably(tmp_path / "file", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "new")]
