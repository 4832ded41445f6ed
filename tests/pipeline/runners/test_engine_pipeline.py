"""A job does not go on when the wait for it ends: it is cancelled. If its job server was lost, it starts again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_grpc

from components.base.errors import InputError
from pipeline.runners import engine_pipeline
from pipeline.runners.engine_pipeline import Cluster, EnginePipeline, cancel_by_job_server, cancel_on_flink


class Jobs(job_grpc.JobServiceServicer):
    """A job server that knows some jobs."""

    def __init__(self, *jobs):
        self.jobs, self.cancelled = jobs, []

    def GetJobs(self, request, context):
        infos = [job_api.JobInfo(job_id=f"id of {name}", job_name=name, state=state) for name, state in self.jobs]
        return job_api.GetJobsResponse(job_info=infos)

    def Cancel(self, request, context):
        self.cancelled.append(request.job_id)
        return job_api.CancelJobResponse(state=job_api.JobState.CANCELLED)


@pytest.fixture
def serve():
    """A function that serves a job server on loopback, and returns its address."""
    servers = []

    def serve(jobs):
        server = grpc.server(ThreadPoolExecutor(2))
        job_grpc.add_JobServiceServicer_to_server(jobs, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        server.stop(None)


class Flink:
    """Flink's REST API: a job that is cancelled is CANCELLING first, and ends at the next look."""

    def __init__(self, **states):
        self.states, self.patched = states, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                assert self.path == "/jobs/overview"
                jobs = [{"jid": f"id-{name}", "name": name, "state": state} for name, state in outer.states.items()]
                outer.states = {name: "CANCELED" if state == "CANCELLING" else state for name, state in outer.states.items()}
                self.answer({"jobs": jobs})

            def do_PATCH(self):
                outer.patched.append(self.path)
                name = self.path.removeprefix("/jobs/id-").removesuffix("?mode=cancel")
                outer.states[name] = "CANCELLING"
                self.answer({})

            def answer(self, content):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def flink():
    made = []

    def make(**states):
        made.append(Flink(**states))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds


def test_only_the_jobs_of_the_name_that_go_on_are_cancelled(serve):
    running, done = job_api.JobState.RUNNING, job_api.JobState.DONE
    jobs = Jobs(("din-a-1-1", running), ("din-a-1-10", running), ("din-a-1-1", done), ("other", running))
    address = serve(jobs)
    assert cancel_by_job_server(address, "din-a-1-1")
    assert not cancel_by_job_server(address, "din-a-2-1")
    assert jobs.cancelled == ["id of din-a-1-1"]


def test_a_job_on_flink_is_cancelled_and_waited_for(flink):
    server, clock = flink(mine="RUNNING", other="RUNNING"), Clock()
    assert cancel_on_flink(server.url, "mine", now=clock.now, wait=clock.wait)
    assert server.patched == ["/jobs/id-mine?mode=cancel"] and server.states["other"] == "RUNNING"
    assert clock.time == 1.0  # RUNNING, CANCELLING, CANCELED: two waits of half a second


def test_a_job_that_has_not_reached_flink_yet_is_waited_for(flink):
    server, clock = flink(), Clock()
    assert cancel_on_flink(server.url, "mine", now=clock.now, wait=clock.wait)
    assert server.patched == [] and clock.time > engine_pipeline._GRACE_SECONDS
    assert clock.time < engine_pipeline._GRACE_SECONDS + 2


def test_a_job_that_its_job_server_was_handing_over_is_cancelled_when_it_reaches_flink(flink):
    """On a busy machine the upload of the job took 38 s, and the job server's Cancel does not stop it."""
    server, clock = flink(), Clock()

    def wait(seconds):
        clock.wait(seconds)
        if clock.time == 38.0:
            server.states = {"mine": "RUNNING"}

    assert cancel_on_flink(server.url, "mine", patience=60, now=clock.now, wait=wait)
    assert server.patched == ["/jobs/id-mine?mode=cancel"] and clock.time == 39.0


def test_a_flink_that_does_not_answer_is_given_up(flink):
    server, clock = flink(), Clock()
    server.server.shutdown()
    server.server.server_close()
    assert not cancel_on_flink(server.url, "mine", now=clock.now, wait=clock.wait)
    assert clock.time >= engine_pipeline._CANCEL_SECONDS


@pytest.fixture
def ending(monkeypatch):
    """Lets Beam's own end of a pipeline raise one exception after the other, or none. Returns what it was called with."""
    calls = []

    def fail_with(*errors):
        left = list(errors)

        def leave(self, kind, error, trace):
            calls.append((kind, self.options.view_as(GoogleCloudOptions).job_name))
            self.result = "the job was taken"
            if left and (error := left.pop(0)) is not None:
                raise error

        monkeypatch.setattr(beam.Pipeline, "__exit__", leave)
        return calls

    return fail_with


def pipeline(job_server, flink="", notes=None, may_return=True, told=None):
    options = PipelineOptions(["--runner=PortableRunner", f"--job_endpoint={job_server}"])
    return EnginePipeline(
        options, "din-a-1", Cluster(job_server, flink, may_return), [] if notes is None else notes, ([] if told is None else told).append
    )


LOST = RuntimeError("Pipeline failed in state RUNNING: unknown error")  # how a stream of states ends that nobody writes any more


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("Pipeline failed in state FAILED")])
def test_an_interrupt_or_a_failure_cancels_the_job(serve, flink, ending, error):
    jobs, rest = Jobs(("din-a-1-1", job_api.JobState.RUNNING)), flink(**{"din-a-1-1": "RUNNING"})
    calls = ending(error)
    told: list[str] = []
    with pytest.raises(type(error)), pipeline(serve(jobs), rest.url, told=told):
        pass
    assert told == ["The job din-a-1-1 is cancelled on the cluster if it still runs, which takes up to two minutes."]
    assert jobs.cancelled == ["id of din-a-1-1"] and rest.states == {"din-a-1-1": "CANCELED"}
    assert len(calls) == 1


def test_a_job_that_ends_well_is_left_alone(serve, ending):
    jobs = Jobs(("din-a-1-1", job_api.JobState.RUNNING))
    calls = ending(None)
    with pipeline(serve(jobs)):
        pass
    assert jobs.cancelled == [] and calls == [(None, "din-a-1-1")]


def test_a_job_whose_job_server_was_lost_starts_again_under_another_name(serve, flink, ending):
    rest = flink(**{"din-a-1-1": "RUNNING"})
    calls = ending(LOST, None)
    with pipeline(serve(Jobs()), rest.url):
        pass
    assert [name for _, name in calls] == ["din-a-1-1", "din-a-1-2"] and rest.states == {"din-a-1-1": "CANCELED"}


def test_a_job_starts_three_times_at_most(serve, flink, ending):
    rest = flink(**{f"din-a-1-{attempt}": "FAILED" for attempt in (1, 2, 3)})
    calls = ending(LOST, LOST, LOST)
    sentence = r"was lost during a job: start it, and start the run again"
    with pytest.raises(InputError, match=sentence), pipeline(serve(Jobs()), rest.url):
        pass
    assert len(calls) == 3


def test_a_job_that_its_job_server_refuses_does_not_start_again(serve, flink, ending, monkeypatch):
    def refuse(*_):
        raise ValueError("no such transform")

    monkeypatch.setattr(engine_pipeline, "_GRACE_SECONDS", 0)
    monkeypatch.setattr(beam.Pipeline, "__exit__", refuse)
    with pytest.raises(ValueError, match=r"^no such transform$"), pipeline(serve(Jobs()), flink().url):
        pass


def test_a_job_server_that_the_run_started_is_not_waited_for(serve, flink, ending, monkeypatch):
    """Nobody starts it again."""
    monkeypatch.setattr(engine_pipeline, "answers", lambda *_: pytest.fail("the run waits for its job server"))
    rest, calls = flink(**{"din-a-1-1": "RUNNING"}), ending(LOST, None)
    sentence = r"was lost during a job: it was started for this run, so look in log\.txt why it ended, and start the run again\.$"
    with pytest.raises(InputError, match=sentence), pipeline(serve(Jobs()), rest.url, may_return=False):
        pass
    assert len(calls) == 1 and rest.states == {"din-a-1-1": "CANCELED"}


def test_a_job_that_flink_does_not_end_is_a_note(serve, ending, monkeypatch):
    monkeypatch.setattr(engine_pipeline, "cancel_on_flink", lambda *_: False)
    notes, _ = [], ending(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), pipeline(serve(Jobs()), "http://flink:8081", notes):
        pass
    assert notes == [
        "The job din-a-1-1 may still run on Flink (http://flink:8081): look there, and cancel it (Flink did not end it).",
    ]


def test_a_job_that_its_job_server_does_not_cancel_is_a_note(ending):
    """Without Flink's REST API, nobody else can be asked."""
    notes, _ = [], ending(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), pipeline("127.0.0.1:1", notes=notes):
        pass
    (note,) = notes
    assert note.startswith("The job din-a-1-1 may still run on the cluster: look there, and cancel it (")


def test_an_error_of_cancelling_on_dataflow_does_not_hide_the_first_one(monkeypatch):
    class Result:
        def cancel(self):
            raise RuntimeError("no permission")

    def leave(self, kind, error, trace):
        self.result = Result()
        raise ValueError("the job failed")

    monkeypatch.setattr(beam.Pipeline, "__exit__", leave)
    notes = []
    with pytest.raises(ValueError, match=r"^the job failed$"), pipeline("", notes=notes):
        pass
    assert notes == ["The job din-a-1-1 may still run on Dataflow: look there, and cancel it (no permission)."]


def test_without_flink_s_rest_api_a_job_does_not_start_again(serve, ending):
    """It may go on beside the new one."""
    calls = ending(LOST, None)
    with pytest.raises(InputError, match="was lost during a job"), pipeline(serve(Jobs())):
        pass
    assert len(calls) == 1
