"""A program that changes a serving folder, and is killed before each of its changes to the file system in turn.

    python killing.py push|rollback START OUT

START/demo is the folder of versions, START/model is the model to push. `OUT/<n>` is a copy of START in which the call was killed before its
n-th change; in the one with the highest n the call was not killed. TensorFlow is not needed: two models are equal if their files of weights
are. fsync is counted but not done: a killed process, unlike a loss of power, loses nothing that it wrote.
"""

import hashlib
import os
import shutil
import signal
import sys
from pathlib import Path

import google.protobuf.text_format  # noqa: F401  # here, so that no fork imports these two anew
import tensorflow_serving.config.model_server_config_pb2  # noqa: F401

import components.serving.store.push as pushing
from components.serving.store.rollback_and_promote import rollback

_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime"}


def weights(model):
    return hashlib.sha256((model / "variables" / "weights").read_bytes()).hexdigest()


def push(folder):
    return pushing.push(folder / "model", folder / "demo", warm_up=folder / "requests", keep=2)


CALLS = {"push": push, "rollback": lambda folder: rollback(folder / "demo")}


def killed_before(change, call, folder):
    """Runs the call in a fork. Returns whether it was killed before a change; the first change is 1."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = change

    def count(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counting(function):
        def counted(*args, **kwargs):
            count()
            return function(*args, **kwargs)

        return counted

    def audit(event, args):
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _CHANGES or writes:
            count()

    os.fsync, os.sendfile = counting(lambda file: None), counting(os.sendfile)  # no audit event stands for these two
    sys.addaudithook(audit)
    try:
        call(folder)
    finally:
        os._exit(0)


def main(name, start, out):
    pushing.model_digest = weights
    pushing.describe_signatures = lambda model, name: f"signatures of {name}\n"
    change, killed = 0, True
    while killed:
        change += 1
        shutil.copytree(start, out / str(change), symlinks=True)
        killed = killed_before(change, CALLS[name], out / str(change))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
