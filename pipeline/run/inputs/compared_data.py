"""Finds what the training data of a run is compared with: the data of an earlier run, and a log of requests."""

from pathlib import Path

from components.base.errors import InputError
from components.base.shards import SPAN_SPLIT
from components.serving.requests.request_logs import log_fingerprint
from components.serving.store.versions import read_rolled_back
from pipeline.places import PreviousData, RequestLog
from pipeline.records.metadata_store import RunOutputs
from pipeline.records.run_list import METADATA_FILE, read_summaries


def find_previous(workspace: Path, name: str, fingerprint: str) -> PreviousData | None:
    """Returns the data of the last pushed run of this name that read other data, and whose statistics are still there.

    A run whose version was rolled back does not count. Of a run whose spans have no splits it is the newest span.

    Args:
        workspace: The workspace.
        name: The name of the run.
        fingerprint: That of the data of this run.
    """
    rolled_back = read_rolled_back(workspace / "serving" / name)
    for run in reversed(read_summaries(workspace)):
        pushed = run.name == name and run.status == "pushed" and run.pushed_version not in rolled_back
        if pushed and run.data_fingerprint not in (None, fingerprint):
            outputs = RunOutputs(workspace / METADATA_FILE, run.run_id)
            if (statistics := outputs.uri("StatisticsGen", "statistics")) and statistics.exists():
                return PreviousData(f"train/ of run {run.run_id}", statistics)
            if (statistics := outputs.uri(f"StatisticsGen.{run.span}", "statistics")) and statistics.exists():
                return PreviousData(f"{run.span} of run {run.run_id}", statistics, SPAN_SPLIT)
    return None


def find_requests(folder: str) -> RequestLog | None:
    """Returns the log that the configuration names.

    Raises:
        InputError: There is no such log.
    """
    if not folder:
        return None
    log = Path(folder).absolute()
    if not log.exists():
        raise InputError(f"{log} is not there: `requests` names a folder of logged requests.")
    return RequestLog(log, log_fingerprint(log))
