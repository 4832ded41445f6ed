"""How a run ends when something outside it goes wrong."""

import errno
import io
import json
import logging
import socket

import pytest
from google.protobuf import text_format

from components.base import beam_engine
from components.base.errors import InputError
from components.serving.store.versions import write_pushed_by
from din_trainer.training_errors import TrainingDiverged
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.records.summary import Summary
from pipeline.records.summary_tables import print_summary
from pipeline.run.checks.check_environment import silent_servers
from pipeline.run.ending.shown_results import write_details
from pipeline.run.execution import Run
from pipeline.run.run_folder import run_folder
from pipeline.runners import check_engine
from pipeline.terminal import Progress
from tests.pipeline.run.served_versions import label, serve
from tests.sample_data import write_dataset


def silent():
    return Progress(Console(file=io.StringIO()))


@pytest.fixture
def run(tmp_path):
    data = write_dataset(tmp_path / "data")
    with run_folder(tmp_path / "workspace", "default") as folder:
        yield Run(load_config(), data, folder, silent())


def fail_with(monkeypatch, error):
    import pipeline.runners.local

    def run_locally(*args):
        raise RuntimeError("node failed") from error

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)


def test_bad_embeddings_end_a_run_before_it_begins(tmp_path):
    settings = [f"features.behaviours.item.embeddings={tmp_path / 'nowhere.npz'}"]
    with run_folder(tmp_path / "workspace", "default") as folder:
        summary = Run(load_config(None, settings), write_dataset(tmp_path / "data"), folder, silent()).execute()
    assert (summary.status, summary.exit_code, summary.model_path) == ("failed", 2, None)
    assert str(summary.refused_because).startswith(f"{tmp_path / 'nowhere.npz'} is no .npz with `ids` and `vectors` (")
    assert not (tmp_path / "workspace" / "schemas").exists()  # the first thing after TensorFlow's start


def test_an_engine_that_does_not_answer_ends_a_run_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(check_engine, "_SECONDS", 0.1)
    settings = ["beam.engine=flink", "beam.job_server=127.0.0.1:1"]
    with run_folder(tmp_path / "workspace", "default") as folder:
        summary = Run(load_config(None, settings), None, folder, silent()).execute()
    assert (summary.status, summary.exit_code) == ("failed", 2)
    sentence = "The Beam job server at 127.0.0.1:1 does not answer: start it, or correct beam.job_server."
    assert summary.refused_because == sentence and not (tmp_path / "workspace" / "data").exists()


def test_the_executors_have_the_engine_while_the_nodes_run(tmp_path, monkeypatch):
    import pipeline.runners.local

    made = []

    def run_locally(dag, run_id, progress):
        made.append(beam_engine._make_pipeline())
        raise InputError("the end")

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)
    monkeypatch.setattr(check_engine, "engine_problems", lambda _: iter(()))
    with run_folder(tmp_path / "workspace", "default") as folder:
        Run(load_config(None, ["beam.engine=flink"]), write_dataset(tmp_path / "data"), folder, silent()).execute()
    assert made[0].options.get_all_options()["job_endpoint"] == "localhost:18100" and beam_engine._make_pipeline is None


def test_a_full_disk_is_a_sentence_and_exit_2(run, monkeypatch, tmp_path):
    fail_with(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/serving/1"))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == ("failed", 2, None)
    assert summary.refused_because == "/serving/1: the disk is full: free some space, or name a place on another disk."
    assert json.loads((tmp_path / "workspace" / "latest.json").read_text())["refused_because"] == summary.refused_because


def test_a_training_that_diverges_is_a_sentence_and_exit_1(run, monkeypatch):
    sentence = "Training diverged in epoch 3: lower training.learning_rate."
    fail_with(monkeypatch, TrainingDiverged(sentence))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == ("failed", 1, sentence)
    assert (summary.model_path, summary.pushed_version) == (None, None)


def test_what_the_training_warns_of_is_a_note(run, monkeypatch):
    import pipeline.runners.local

    def run_locally(*args):
        progress = logging.getLogger("din_trainer.progress")
        progress.info("epoch 1")
        progress.warning("train/ takes more than training.memory_mb")
        raise InputError("the end")

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)
    assert [note for note in run.execute().notes if "raining" in note] == ["Training: train/ takes more than training.memory_mb."]


def test_a_serving_folder_that_cannot_be_read_is_a_sentence_and_exit_2(run, monkeypatch):
    fail_with(monkeypatch, InputError("/serving/models.config cannot be read: correct it."))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == (
        "failed",
        2,
        "/serving/models.config cannot be read: correct it.",
    )


def test_a_bug_is_exit_1_with_its_traceback_in_the_log(run, monkeypatch, caplog):
    fail_with(monkeypatch, ValueError("inner"))
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.refused_because) == ("failed", 1, "RuntimeError: node failed")
    assert "ValueError: inner" in caplog.text


@pytest.mark.parametrize(("passed", "status", "code"), [([], "data_refused", 2), (["DataGate"], "failed", 1)])
def test_data_that_changes_under_a_run_is_named(run, monkeypatch, tmp_path, passed, status, code):
    """Case 13: a truncated file ended the run with a raw ValueError. After the data gate, nothing reads the data any more."""
    import pipeline.runners.local

    file = tmp_path / "data" / "train" / "part-00000.tfrecord.gz"

    def run_locally(dag, run_id, progress):
        for step in passed:
            progress.start(step)
            progress.finish()
        file.write_bytes(file.read_bytes()[:-4])
        raise ValueError("Not a valid TFRecord.")

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == (status, code, None)
    changed = f"{file} has changed since this run checked it: leave the data as it is during a run, and run again."
    assert summary.refused_because == ("ValueError: Not a valid TFRecord." if passed else changed)


def test_the_stable_version_of_the_start_is_in_the_summary(run, monkeypatch, tmp_path):
    """Even if the run fails later."""
    serve(tmp_path / "workspace", 9)
    fail_with(monkeypatch, ValueError())
    assert run.execute().stable_at_start == 9


def end_after_push(monkeypatch, workspace, error=None):
    """Lets the nodes push version 7 as far as files go, and then raise `error`."""
    import pipeline.run.ending.outcome
    import pipeline.runners.local

    def run_locally(dag, run_id, listener):
        version = workspace / "serving" / "default" / "7"
        version.mkdir(parents=True)
        write_pushed_by(version, run_id)
        if error is not None:
            raise error

    def read_outcome(summary, places, folder):
        if error is None:
            summary.pushed_version, summary.metrics = 7, {"auc": 0.7}
            summary.end("pushed", None)

    monkeypatch.setattr(pipeline.runners.local, "run_locally", run_locally)
    monkeypatch.setattr(pipeline.run.ending.outcome, "read_outcome", read_outcome)


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "interrupted"), (ValueError(), "failed"), (SystemExit(5), "failed"), (MemoryError(), "failed")],
)
def test_what_was_pushed_before_the_end_stays_in_the_summary(run, monkeypatch, tmp_path, error, status):
    end_after_push(monkeypatch, tmp_path / "workspace", error)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == (status, 1, 7)
    assert summary.pushed_path == str(tmp_path / "workspace" / "serving" / "default" / "7")


def test_no_room_for_the_report_is_a_note_and_the_run_is_pushed(run, monkeypatch, tmp_path):
    """The exit status was 0 without a word (case 22)."""
    end_after_push(monkeypatch, tmp_path / "workspace")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "/runs/1/report.html")

    monkeypatch.setattr("pipeline.run.ending.shown_results.write_details", full)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.report_path) == ("pushed", 0, None)
    assert summary.notes[-1].startswith("The run has no report: /runs/1/report.html: the disk is full")
    assert json.loads((tmp_path / "workspace" / "latest.json").read_text())["notes"] == summary.notes
    assert summary.notes[-1] in shown(summary)


def test_no_room_for_the_summary_is_no_success(run, monkeypatch, tmp_path):
    """Whoever reads `latest.json` finds `started`, so the exit status must not be that of a push."""
    end_after_push(monkeypatch, tmp_path / "workspace")
    write = Summary.write

    def full_at_the_end(self, workspace):
        if self.status != "started":
            raise InputError("summary.json cannot be written (No space left on device): free some space.")
        write(self, workspace)

    monkeypatch.setattr(Summary, "write", full_at_the_end)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.pushed_version) == ("pushed", 2, 7)
    assert "The summary is not written: summary.json cannot be written" in shown(summary)
    assert json.loads((tmp_path / "workspace" / "latest.json").read_text())["status"] == "started"


def shown(summary):
    file = io.StringIO()
    print_summary(summary, Console(file=file, width=200))
    return file.getvalue()


def test_no_room_for_the_first_summary_ends_the_run_at_once(run, monkeypatch):
    def full(self, workspace):
        raise InputError("summary.json cannot be written (No space left on device): free some space.")

    monkeypatch.setattr(Summary, "write", full)
    summary = run.execute()
    assert (summary.status, summary.exit_code, summary.examples) == ("failed", 2, None)
    assert summary.refused_because == "summary.json cannot be written (No space left on device): free some space."


@pytest.mark.parametrize("oracle", ["5", "[1]", '"auc"', '{"auc": NaN}'])
def test_a_manifest_with_another_oracle_is_a_sentence(run, tmp_path, oracle):
    """It was a traceback in the summary (case 18)."""
    (tmp_path / "data" / "manifest.json").write_text(f'{{"oracle": {oracle}}}')
    summary = run.execute()
    assert (summary.status, summary.exit_code) == ("data_refused", 2)
    assert str(summary.refused_because).startswith(f"{tmp_path / 'data' / 'manifest.json'}: oracle")


def test_a_version_that_has_no_next_is_refused_before_the_training(run, tmp_path):
    """A folder that is named 2**63 - 1 (case 22)."""
    serve(tmp_path / "workspace", 2**63 - 1)
    summary = run.execute()
    assert (summary.status, summary.exit_code) == ("failed", 2)
    assert "9223372036854775807 has the highest number of a version" in str(summary.refused_because)


def test_what_a_curated_schema_asks_for_in_vain_is_in_the_summary(monkeypatch, tmp_path):
    """Case 19: a comparator for skew without a log of requests, in a run that then fails."""
    text = text_format.MessageToString(make_schema(load_config().features))
    text = text.replace('name: "user_id"', 'name: "user_id" skew_comparator { infinity_norm { threshold: 0.1 } }')
    (tmp_path / "curated.pbtxt").write_text(text)
    fail_with(monkeypatch, ValueError("a bug"))
    config = load_config(None, [f"data_schema.file={tmp_path / 'curated.pbtxt'}"])
    with run_folder(tmp_path / "workspace", "default") as folder:
        summary = Run(config, write_dataset(tmp_path / "data"), folder, silent()).execute()
    (note,) = (note for note in summary.notes if "curated.pbtxt" in note)
    assert "skew_comparator of 'user_id' is not checked" in note


def test_a_part_of_the_report_that_is_missing_is_in_the_summary(run, monkeypatch, tmp_path):
    """Case 20: the model card failed in every run, and only the log knew."""
    found = {"data": {"missing": ["Feature 'hour' has no value in eval/."]}, "failed": {"card": "KeyError: 'trainable_variables'"}}
    monkeypatch.setattr("pipeline.report.gather.details.gather_details", lambda *places: found)
    (tmp_path / "runs" / "r").mkdir(parents=True)
    write_details(run.summary, tmp_path / "runs" / "r", tmp_path / "data")
    assert run.summary.notes == [
        "The report's part 'card' is missing: KeyError: 'trainable_variables'",
        "Feature 'hour' has no value in eval/.",
    ]


def test_a_server_that_gives_no_answer_is_noted_before_the_training(tmp_path):
    """Otherwise only the push says so, after minutes; the first version is pushed without servers."""
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"grpc://127.0.0.1:{taken.getsockname()[1]}"
        serving = load_config(None, [f"serving.servers=[{url!r}]"]).serving
        assert silent_servers(serving, tmp_path / "serving" / "default") == []
        label(tmp_path, *[int(serve(tmp_path, 7).name)] * 2)
        (note,) = silent_servers(serving, tmp_path / "serving" / "default")
    assert note.startswith(f"{url} in serving.servers gives no answer now (UNAVAILABLE")
    assert note.endswith("start it before the push, which is refused otherwise.")


def test_a_run_is_followed_by_a_cleaning(run, monkeypatch, tmp_path):
    (tmp_path / "workspace" / "data" / "synthetic-old").mkdir(parents=True)
    (tmp_path / "workspace" / "data" / "synthetic-old" / "part").write_text("x" * 1000)
    fail_with(monkeypatch, ValueError("a bug"))
    assert run.execute().notes[-1] == ("Deleted, because nothing needs it any more (workspace.keep_runs is 20): 1 synthetic data; 1 kB.")
    assert not (tmp_path / "workspace" / "data" / "synthetic-old").exists()


def test_a_cleaning_that_fails_is_a_note(run, monkeypatch):
    import pipeline.housekeeping.clean

    def clean_after_run(*args):
        raise OSError(errno.EACCES, "Permission denied", "/runs/1")

    monkeypatch.setattr(pipeline.housekeeping.clean, "clean_after_run", clean_after_run)
    fail_with(monkeypatch, ValueError("a bug"))
    summary = run.execute()
    assert (summary.status, summary.exit_code) == ("failed", 1)
    assert summary.notes[-1].startswith("The workspace is not cleaned: /runs/1: permission is denied")


def test_days_of_the_configuration_are_not_data_of_a_run(tmp_path):
    """`synthetic.days` has no splits for a run without --data; nothing is made."""
    with run_folder(tmp_path / "workspace", "default") as folder:
        summary = Run(load_config(None, ["synthetic.days=2", "synthetic.examples=400"]), None, folder, silent()).execute()
    assert summary.exit_code == 2 and (summary.refused_because or "").startswith(
        "synthetic.days makes days, but a run without --data reads splits: "
    )
    assert not (tmp_path / "workspace" / "data").exists()
