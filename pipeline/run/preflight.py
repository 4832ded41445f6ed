"""Checks of the workspace, the files of initial embeddings and the loading gate, made before anything runs."""

import os
import shutil
import subprocess
from pathlib import Path

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from din_trainer.transform.embedding_files import read_embeddings
from pipeline.configuration.pipeline_config import ServingConfig

_DOCKER_SECONDS = 30


def _check_name(path: Path, option: str) -> None:
    """TFX takes paths for file patterns."""
    if any(character in str(path) for character in "*?["):
        raise InputError(f"{path}: TFX cannot work below a path with *, ? or [ in it: name another with {option}.")


def check_workspace(workspace: Path) -> None:
    """Makes the workspace.

    Raises:
        InputError: It cannot be made or written.
    """
    _check_name(workspace.absolute(), "--workspace")
    try:
        workspace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{workspace} cannot be made a workspace ({error.strerror}): name another with --workspace.") from error
    if not os.access(workspace, os.W_OK | os.X_OK):
        raise InputError(f"{workspace} cannot be written: name another workspace with --workspace, or change its permissions.")


def check_embeddings(features: FeatureConfig) -> None:
    """Reads the files of initial embeddings.

    Raises:
        InputError: One cannot be read, or does not fit its vocabulary.
    """
    for vocabulary in features.vocabularies.values():
        if vocabulary.embeddings:
            try:
                read_embeddings(vocabulary.embeddings, vocabulary.dim)
            except ValueError as error:
                raise InputError(f"{' '.join(str(error).split())}.") from error


def check_gate(serving: ServingConfig) -> None:
    """Whether what is to load the model before it is pushed is there.

    Raises:
        InputError: There is no such `tensorflow_model_server`, or Docker does not answer.
    """
    server = Path(serving.model_server)
    if serving.model_server and not (server.is_file() and os.access(server, os.X_OK)):
        raise InputError(f"serving.model_server is {serving.model_server!r}, which is no program: name one, or leave it out.")
    if serving.gate == "docker" and not docker_answers():
        raise InputError("serving.gate is 'docker', but Docker does not answer: start it, or take serving.gate = 'loader'.")


def docker_answers() -> bool:
    """Whether `docker info` finds a running engine."""
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=_DOCKER_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False
