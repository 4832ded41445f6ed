"""Files of initial embeddings: what is read, and what is refused."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from din_trainer.transform.embedding_files import read_embeddings

VECTORS = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("ids", "as_written"),
    [
        (np.array([7, 0, 12]), [b"7", b"0", b"12"]),
        (np.array(["a", "home garden", "é"]), [b"a", b"home garden", "é".encode()]),
        (np.array([b"a", b"b c", b"\xff"]), [b"a", b"b c", b"\xff"]),
    ],
)
def test_ids_come_as_transform_writes_them(tmp_path, ids, as_written):
    np.savez(tmp_path / "e.npz", ids=ids, vectors=VECTORS)
    read, vectors = read_embeddings(str(tmp_path / "e.npz"), 2)
    assert read == as_written and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, VECTORS)


BAD_ARRAYS = {
    "vectors is not a file in the archive": {"ids": np.arange(3)},
    "ids is not a file in the archive": {"vectors": VECTORS},
    "`vectors` is (3, 3), but 3 ids and dim = 2 need (3, 2): set dim to match": {"ids": np.arange(3), "vectors": np.zeros((3, 3))},
    "`vectors` is (3, 2), but 4 ids and dim = 2 need (4, 2)": {"ids": np.arange(4), "vectors": VECTORS},
    "`vectors` has values that are not finite": {"ids": np.arange(3), "vectors": np.full((3, 2), np.nan)},
    "`ids` is int64 (3, 1), but each vector needs one integer or text": {"ids": np.zeros((3, 1), int), "vectors": VECTORS},
    "`ids` is float64 (3,), but each vector needs one integer or text": {"ids": np.zeros(3), "vectors": VECTORS},
    "Object arrays cannot be loaded": {"ids": np.array([1, "a", None], dtype=object), "vectors": VECTORS},
    "could not convert string to float": {"ids": np.arange(3), "vectors": np.full((3, 2), "a")},
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_bad_arrays_are_refused(tmp_path, message):
    file = tmp_path / "e.npz"
    np.savez(file, **BAD_ARRAYS[message])
    with pytest.raises(ValueError) as error:
        read_embeddings(str(file), 2)
    assert message in str(error.value) and str(error.value).startswith(str(file))


def one_array(file):
    with open(file, "wb") as out:
        np.save(out, VECTORS)


def damaged(file):
    np.savez(file, ids=np.arange(3), vectors=VECTORS)
    file.write_bytes(file.read_bytes().replace(VECTORS.tobytes(), VECTORS.tobytes()[::-1]))


BAD_FILES = {
    "missing": lambda file: None,
    "empty": lambda file: file.touch(),
    "a folder": lambda file: file.mkdir(),
    "a FIFO, which would hang": os.mkfifo,
    "text": lambda file: file.write_text("ids,vectors\n"),
    "one array alone": one_array,
    "cut off": lambda file: file.write_bytes(b"PK\x03\x04 and no more"),
    "damaged": damaged,
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_not_an_npz_is_refused(tmp_path, kind):
    file = tmp_path / "e.npz"
    BAD_FILES[kind](file)
    with pytest.raises(ValueError, match=r"e\.npz is no \.npz with `ids` and `vectors` \(.+\): write one with numpy\.savez"):
        read_embeddings(str(file), 2)


def test_tensorflow_is_not_imported():
    code = "import sys, din_trainer.transform.embedding_files; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


class _Runs:
    """What a pickle of this object runs when it is read."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


def test_a_hostile_file_executes_nothing_and_unpacks_nothing(tmp_path):
    ran, file = tmp_path / "ran", tmp_path / "e.npz"
    hostile = np.array([_Runs(ran)], dtype=object)
    np.savez(file, ids=hostile, vectors=np.zeros((1, 2), np.float32))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("../unpacked", "bad")
    with pytest.raises(ValueError, match="allow_pickle"):
        read_embeddings(str(file), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]
