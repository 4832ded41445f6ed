"""Where one run reads and writes."""

from pathlib import Path
from typing import NamedTuple


class Places(NamedTuple):
    """The paths that the DAG of one run is given.

    Attributes:
        data: Folder in the layout of `pipeline.datasets.layout`.
        schema: The schema (.pbtxt).
        artifacts: TFX's pipeline root.
        metadata: SQLite file of the metadata store.
        checkpoints: Folder for the state of a training that was cut off.
        serving: Folder of the served versions of this name.
        baseline: Folder that holds the baseline as TFX lays models out; None if there is none.
        stable: The version that was labelled stable when the run started; None if there was none. A push replaces this version or nothing.
        requests: Whether the data has request ids, so that metrics within requests can be computed.
    """

    data: Path
    schema: Path
    artifacts: Path
    metadata: Path
    checkpoints: Path
    serving: Path
    baseline: Path | None
    stable: int | None = None
    requests: bool = False
