"""What the metrics of a run follow from, beside its configuration: data, files, code and libraries. It is recorded in the run's folder."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from components.base.errors import InputError
from components.base.fingerprint import LIBRARIES, file_fingerprint, import_closure, module_file
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.run.checks.check_impressions import DataFacts

ORIGIN_FILE = "origin.json"  # in the folder of a run

_DAG = "pipeline.dag"
_NO_PART_OF_RESULTS = "pipeline.records"  # it keeps what others computed
_LIBRARIES = (*LIBRARIES, "apache-beam", "numpy")
_SHOWN = 3  # changed modules that a sentence names


class Origin(BaseModel):
    """What a run was made from.

    Attributes:
        data: The fingerprint of the content by split, or by span.
        files: A hash of each file that the configuration names.
        code: A hash of each module that the nodes of the DAG reach.
        libraries: Versions by library, with that of Python.
        machine: The processor and the number of its cores. Another one may add floats in another order.
    """

    data: dict[str, str]
    files: dict[str, str]
    code: dict[str, str]
    libraries: dict[str, str]
    machine: str


class Repeated(NamedTuple):
    """A run that another one repeats.

    Attributes:
        origin: What it was made from.
        workspace: Its workspace, which has the model that a warm start begins from.
    """

    origin: Origin
    workspace: Path


class Differs(InputError):
    """A rerun would not read what the run read. The message names what differs."""


def make_origin(config: PipelineConfig, facts: DataFacts) -> Origin:
    """Returns what a run with this configuration is made from now."""
    named = [config.data_schema.file, *config.features.files.values()]
    modules = [module for module in import_closure(_DAG) if not module.startswith(_NO_PART_OF_RESULTS)]
    return Origin(
        data=facts.fingerprints,
        files={file: file_fingerprint(file) for file in named if file},
        code={module: file_fingerprint(str(module_file(module))) for module in modules},
        libraries={"python": platform.python_version(), **{library: version(library) for library in _LIBRARIES}},
        machine=f"{_processor()}, {os.cpu_count()} cores",
    )


def differences(then: Origin, now: Origin) -> list[str]:
    """Returns a sentence for each part that is not the same. Another machine is none: it need not change a result."""
    found = []
    if changed := _changed(then.data, now.data):
        found.append(f"the data has other content in {', '.join(changed)}")
    if changed := _changed(then.files, now.files):
        found.append(f"{', '.join(changed)}, which the configuration names, has changed")
    if changed := _changed(then.libraries, now.libraries):
        pairs = (f"{library} {then.libraries.get(library)} is {now.libraries.get(library)} now" for library in changed)
        found.append(f"the libraries have changed: {', '.join(pairs)}")
    if changed := _changed(then.code, now.code):
        more = f" and {len(changed) - _SHOWN} more modules" if len(changed) > _SHOWN else ""
        found.append(f"the code has changed: {', '.join(changed[:_SHOWN])}{more}")
    return found


def _changed(then: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def _processor() -> str:
    """Returns the model of the processor, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
