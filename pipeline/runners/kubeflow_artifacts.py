"""The artifacts of a container on Kubeflow or Vertex: their URIs are those of a store, but the container finds them below a local folder.

Vertex mounts `gs://BUCKET` at `/gcs/BUCKET`. Kubeflow's launcher copies the inputs from the store before the container's command, and the
outputs to it afterwards, with a folder for each kind of store. Both follow the same rule, which is also that of `path` in KFP's own SDK.
An ExecutorInput and an ExecutorOutput are here what they are between Kubeflow and a container: JSON.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any

from components.base.errors import InputError

PREPARE, PREPARED = "Prepare", "prepared"  # the first node of a compiled pipeline, and its output

Json = dict[str, Any]

_MOUNTED = {"gs": "/gcs", "minio": "/minio", "s3": "/s3"}
_URI = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


def local_path(uri: str) -> str:
    """Returns the path at which a container finds what a URI names. A path stays as it is.

    Raises:
        InputError: The store is not one whose files Kubeflow brings to a container.
    """
    found = _URI.fullmatch(uri)
    if not found:
        return uri
    scheme, rest = found.groups()
    if scheme not in _MOUNTED:
        known = ", ".join(f"{name}://" for name in _MOUNTED)
        raise InputError(f"{uri}: Kubeflow brings no files of {scheme}:// to a container: use a pipeline root of {known}.")
    return f"{_MOUNTED[scheme]}/{rest}"


def artifacts(part: Json) -> Iterator[tuple[str, Json]]:
    """Yields the artifacts of a part of an ExecutorInput, or of an ExecutorOutput, each with its name there."""
    for name, listed in part.get("artifacts", {}).items():
        for artifact in listed.get("artifacts", []):
            yield name, artifact


def with_local_paths(executor_input: Json) -> Json:
    """Returns a copy of an ExecutorInput whose artifacts and output file are local paths."""
    result = copy.deepcopy(executor_input)
    for part in ("inputs", "outputs"):
        for _, artifact in artifacts(result.get(part, {})):
            artifact["uri"] = local_path(artifact["uri"])
    result["outputs"]["outputFile"] = local_path(result["outputs"]["outputFile"])
    return result


def with_uris(executor_output: Json, executor_input: Json) -> Json:
    """Returns a copy of an ExecutorOutput whose artifacts have the URIs that the ExecutorInput gave them."""
    result = copy.deepcopy(executor_output)
    given = dict(artifacts(executor_input["outputs"]))
    for name, artifact in artifacts(result):
        artifact["uri"] = given[name]["uri"]
    return result
