"""A Beam pipeline that leaves no job behind: what ends the wait for its job also cancels the job on the cluster.

If the job server is lost and comes back, and if the job has certainly ended on the cluster, the job starts again.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

import apache_beam as beam
import grpc
import requests
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_grpc

from components.base.errors import InputError
from pipeline.runners.job_server import answers

_ENDED = {job_api.JobState.DONE, job_api.JobState.FAILED, job_api.JobState.CANCELLED, job_api.JobState.DRAINED}
_FLINK_ENDED = {"FINISHED", "FAILED", "CANCELED"}
_CALL_SECONDS = 10
_CANCEL_SECONDS = 60  # until the tasks of a cancelled job have ended
_GRACE_SECONDS = 10  # a job may reach Flink some seconds after its job server has taken it
_HANDING_OVER_SECONDS = 60  # and later, if the job server was at it: its Cancel does not stop the upload of the job to Flink
_RETURN_SECONDS = 300  # until a job server that was lost is back
_ATTEMPTS = 3
_POLL_SECONDS = 0.5


class Cluster(NamedTuple):
    """Where the job of a pipeline runs.

    Attributes:
        job_server: The address of the job server; empty for Dataflow.
        flink: The URL of Flink's REST API; empty if it is not known.
        may_return: Whether somebody may start the job server again; not so if it was started for the run.
    """

    job_server: str
    flink: str = ""
    may_return: bool = True


class EnginePipeline(beam.Pipeline):
    """A pipeline for one job on a cluster.

    Args:
        options: Beam's options.
        name: What the names of its jobs on the cluster begin with, and those of no other pipeline.
        cluster: Where it runs.
        notes: Gets a sentence for each job that could not be cancelled.
        tell: Shows the user a line when it begins to cancel a job, which takes a while.
    """

    def __init__(self, options: PipelineOptions, name: str, cluster: Cluster, notes: list[str], tell: Callable[[str], None]):
        super().__init__(options=options)
        self._prefix, self._name, self._notes, self._tell = name, "", notes, tell
        self._job_server, self._flink, self._may_return = cluster

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        attempt = 1
        while True:
            self._options.view_as(GoogleCloudOptions).job_name = self._name = f"{self._prefix}-{attempt}"
            self.result = None
            try:
                return super().__exit__(kind, error, trace)
            except Exception as failure:
                lost = self._is_lost(failure)
                ended = self._cancel()
                if not lost:
                    raise
                if not (ended and attempt < _ATTEMPTS and self._is_back()):
                    why = "it was started for this run, so look in log.txt why it ended, and start the run again"
                    advice = "start it, and start the run again" if self._may_return else why
                    raise InputError(f"The job server at {self._job_server} was lost during a job: {advice}.") from failure
                logging.warning("the job server at %s was lost during the job %s, which starts again", self._job_server, self._name)
            except BaseException:
                self._cancel()
                raise
            attempt += 1

    def _is_lost(self, failure: Exception) -> bool:
        """Whether the job server has ended since it took the job. It may be back, but then it does not know the job."""
        if not self._job_server:
            return False
        if isinstance(failure, grpc.Call) and failure.code() == grpc.StatusCode.UNAVAILABLE:
            return True
        try:
            return self.result is not None and not jobs_of(self._job_server, self._name)
        except grpc.RpcError:
            return True

    def _cancel(self) -> bool:
        """Cancels the job, if it goes on. What goes wrong is a note, because the first error is the one to report.

        Returns:
            Whether it is certain that the job has ended.
        """
        if not self._job_server:
            try:
                if self.result is not None:
                    self.result.cancel()
            except Exception as error:
                self._may_go_on("Dataflow", str(error))
            return False
        self._tell(f"The job {self._name} is cancelled on the cluster if it still runs, which takes up to two minutes.")
        patience, refusal = _GRACE_SECONDS, ""
        try:
            if cancel_by_job_server(self._job_server, self._name):
                patience = _HANDING_OVER_SECONDS
        except grpc.RpcError as error:
            refusal = _reason(error)
            logging.warning("the job server at %s does not cancel the job %s: %s", self._job_server, self._name, refusal)
        ended = bool(self._flink) and cancel_on_flink(self._flink, self._name, patience)
        if self._flink and not ended:
            self._may_go_on(f"Flink ({self._flink})", "Flink did not end it")
        elif refusal and not self._flink:
            self._may_go_on("the cluster", refusal)
        return ended

    def _may_go_on(self, where: str, why: str) -> None:
        note = f"The job {self._name} may still run on {where}: look there, and cancel it ({why})."
        logging.error(note)
        self._notes.append(note)

    def _is_back(self) -> bool:
        """Waits for the job server, unless nobody starts it again, and returns whether it answers."""
        if not self._may_return:
            return False
        end = time.monotonic() + _RETURN_SECONDS
        while not (back := answers(self._job_server)) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return back


def _reason(error: grpc.RpcError) -> str:
    return " ".join(str(error.details() if isinstance(error, grpc.Call) else error).split())


def jobs_of(address: str, name: str) -> list[job_api.JobInfo]:
    """Returns the jobs of this name that a job server knows.

    Raises:
        grpc.RpcError: The job server does not answer.
    """
    with grpc.insecure_channel(address) as channel:
        known = job_grpc.JobServiceStub(channel).GetJobs(job_api.GetJobsRequest(), timeout=_CALL_SECONDS).job_info
    return [job for job in known if job.job_name == name]


def cancel_by_job_server(address: str, name: str) -> bool:
    """Cancels the jobs of this name.

    Returns:
        Whether one went on.

    Raises:
        grpc.RpcError: The job server does not answer.
    """
    with grpc.insecure_channel(address) as channel:
        going_on = [job for job in jobs_of(address, name) if job.state not in _ENDED]
        for job in going_on:
            job_grpc.JobServiceStub(channel).Cancel(job_api.CancelJobRequest(job_id=job.job_id), timeout=_CALL_SECONDS)
    return bool(going_on)


def cancel_on_flink(
    rest: str,
    name: str,
    patience: float = _GRACE_SECONDS,
    now: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Cancels the jobs of this name by Flink's REST API, because Beam's job server leaves jobs running that it has handed to Flink.

    Args:
        rest: The URL of the API.
        name: The name of the jobs.
        patience: The seconds in which a job may still reach Flink.
        now: The time in seconds.
        wait: Waits for some seconds.

    Returns:
        Whether they have ended, or never began.
    """
    start, silent = now(), False
    while now() < start + patience + _CANCEL_SECONDS:
        try:
            answer = requests.get(f"{rest}/jobs/overview", timeout=_CALL_SECONDS)
            answer.raise_for_status()
            jobs = [job for job in answer.json()["jobs"] if job["name"] == name]
            going_on = [job for job in jobs if job["state"] not in _FLINK_ENDED]
            if not going_on and (jobs or now() > start + patience):
                return True
            for job in going_on:
                if job["state"] != "CANCELLING":
                    requests.patch(f"{rest}/jobs/{job['jid']}", params={"mode": "cancel"}, timeout=_CALL_SECONDS)
        except requests.RequestException as error:
            if not silent:
                logging.warning("Flink at %s does not answer: %s", rest, error)
            silent = True
        wait(_POLL_SECONDS)
    return False
