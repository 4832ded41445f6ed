"""Checks that are made before anything runs: the workspace, the files of initial embeddings, and what the loading gate needs."""

import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

from components.base.errors import InputError
from components.serving.store.models_config import MODELS_CONFIG
from din_trainer.features import FeatureConfig
from din_trainer.lookups.table_file import read_tables
from din_trainer.transform.embedding_files import read_embeddings
from pipeline.configuration.pipeline_config import ServingConfig
from pipeline.records.run_list import METADATA_FILE

_DOCKER_SECONDS = 30
_LONGEST_DATABASE = 504  # bytes of the path of a SQLite file: its limit is 512, and it adds `-journal`


def check_path_for_tfx(path: Path, option: str) -> None:
    """Checks that TFX can use a path. It reads paths as file patterns, and writes them as text, some with one path a line.

    Args:
        path: An absolute path.
        option: The command-line option that gave it.

    Raises:
        InputError: The path has `*`, `?`, `[` or a control character in it, or is not UTF-8.
    """
    if any(character in "*?[" for character in str(path)):
        raise InputError(f"{path}: TFX cannot work below a path with *, ? or [ in it: name another with {option}.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in str(path)):  # Cs: bytes that are not UTF-8
        raise InputError(f"{path}: TFX cannot work below a path that has control characters or is not UTF-8: name another with {option}.")


def check_workspace(workspace: Path) -> None:
    """Makes the workspace if it is not there.

    Raises:
        InputError: It cannot be made or written.
    """
    check_path_for_tfx(workspace.absolute(), "--workspace")
    longer = len(os.fsencode(Path(os.path.realpath(workspace)) / METADATA_FILE)) - _LONGEST_DATABASE
    if longer > 0:
        raise InputError(f"{workspace}: its path is {longer} bytes longer than SQLite can open: name another with --workspace.")
    try:
        workspace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{workspace} cannot be made ({error.strerror}): name another workspace with --workspace.") from error
    if not os.access(workspace, os.W_OK | os.X_OK):
        raise InputError(f"{workspace} cannot be written: name another workspace with --workspace, or change its permissions.")


def check_named_files(features: FeatureConfig) -> None:
    """Reads the files of initial embeddings and the tables of attributes.

    Raises:
        InputError: A file cannot be read, or does not fit its vocabulary or its features.
    """
    try:
        for vocabulary in features.vocabularies.values():
            if vocabulary.embeddings:
                read_embeddings(vocabulary.embeddings, vocabulary.dim)
        read_tables(features)
    except ValueError as error:
        raise InputError(f"{' '.join(str(error).split())}.") from error


def check_gate(serving: ServingConfig) -> None:
    """Checks that the program that loads the model before the push is there.

    Raises:
        InputError: `serving.model_server` is no program, or Docker does not answer.
    """
    server = Path(serving.model_server)
    if serving.model_server and not (server.is_file() and os.access(server, os.X_OK)):
        raise InputError(f"serving.model_server is {serving.model_server!r}, which is no program: name a program, or remove the setting.")
    if serving.gate == "docker" and not docker_answers():
        raise InputError("serving.gate is 'docker', but Docker does not answer: start Docker, or set serving.gate = 'loader'.")


def check_serving_store(serving: ServingConfig) -> None:
    """Checks that the store of the served versions can be written, so that a long run does not end without it.

    Raises:
        InputError: It cannot.
    """
    if serving.store:
        from components.serving.store.publication import check_writable

        check_writable(serving.store)


def silent_servers(serving: ServingConfig, base: Path) -> list[str]:
    """Returns a sentence for each server that gives no answer now: the push at the end of the run would be refused.

    Args:
        serving: The settings.
        base: The folder of the versions. The first version is pushed without servers, because none can run without a version.
    """
    from components.serving.servers.asked_server import GrpcServer, Unreachable

    found = []
    for url in serving.servers if (base / MODELS_CONFIG).exists() else ():
        try:
            GrpcServer(url, base.name).states()
        except Unreachable as error:
            found.append(f"{url} in serving.servers gives no answer now ({error}): start it before the push, which is refused otherwise.")
    return found


def docker_answers() -> bool:
    """Returns whether `docker info` finds a running engine."""
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=_DOCKER_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False
