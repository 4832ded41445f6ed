"""What the DAG of one run needs to know beside the configuration: the paths that its nodes read and write, and what is served now."""

from pathlib import Path
from typing import NamedTuple

from pipeline.configuration.start_model import Start
from pipeline.datasets.spans import Span

TRIALS_SUFFIX = ".tuner"  # no name of a configuration has a dot


class PreviousData(NamedTuple):
    """Earlier training data.

    Attributes:
        name: In words, for messages: "train/ of run 20261126-020000-demo".
        statistics: The artifact of StatisticsGen.
        split: Its split that has the statistics.
    """

    name: str
    statistics: Path
    split: str = "train"


class RequestLog(NamedTuple):
    """A log of requests, and a fingerprint that follows its content."""

    log: Path
    fingerprint: str


class Places(NamedTuple):
    """The places of one run.

    Attributes:
        data: Folder in the layout of `pipeline.datasets.layout`.
        schema: The schema (.pbtxt).
        artifacts: TFX's pipeline root.
        metadata: SQLite file of the metadata store; `pipeline.records.store_place` says when a database has it instead.
        checkpoints: Folder for the state of a training that was interrupted.
        serving: Folder of the served versions of this name.
        baseline: Folder that holds the baseline as TFX lays models out; None if there is none.
        stable: The version that was labelled stable when the run started; None if there was none. A push replaces this version or nothing.
        requests: Whether the data has request ids, so that metrics within requests can be computed.
        checked: The fingerprint of the data that was checked, a line for each split, or for each span: the data gate refuses other data.
            Empty: nothing is compared.
        analyses: Folder with what was counted in spans by earlier runs.
        spans: The spans of `data` that are read, oldest first; empty: the data has splits.
        served: Folder that holds the model that is served now, to be scored on the newest span; None in a run without spans.
        previous: Earlier training data that the data is compared with; None if there is none. A span is compared with the span before it.
        logged: A log of requests that the data is compared with; None if none was named.
        start: The model whose weights the training begins with; None for random weights.
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
    checked: str = ""
    analyses: Path | None = None
    spans: tuple[Span, ...] = ()
    served: Path | None = None
    previous: PreviousData | None = None
    logged: RequestLog | None = None
    start: Start | None = None

    @property
    def finished_trials(self) -> Path:
        """Folder for the outcomes of a search that was interrupted: beside `checkpoints`, whose other folders Trainer removes."""
        return self.checkpoints.with_name(f"{self.checkpoints.name}{TRIALS_SUFFIX}")
