"""Which status, sentence and exit code an exception gives a run."""

import errno

import pytest

from components.base.errors import DataError, InputError
from components.data_gate import DataRefused
from din_trainer.training_errors import EmptyVocabulary, TrainingDiverged, TrialFailed
from pipeline.records.summary import Summary
from pipeline.run.ending.failure import explain_failure

DIVERGED = "Training diverged in epoch 3: lower training.learning_rate or set training.clip_norm."
FULL = OSError(errno.ENOSPC, "No space left on device", "/serving/1")
ENDINGS = [
    (DataError("/d/train holds no impressions."), "data_refused", "/d/train holds no impressions.", 2),
    (DataRefused("feature user_id, split eval: out of range."), "data_refused", "feature user_id, split eval: out of range.", 2),
    (InputError("/d cannot be read."), "failed", "/d cannot be read.", 2),
    (FULL, "failed", "/serving/1: the disk is full: free some space, or name a place on another disk.", 2),
    (TrainingDiverged(DIVERGED), "failed", DIVERGED, 1),
    (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/w/artifacts/a"),
        "failed",
        "/w/artifacts/a is gone: leave the workspace as it is during a run, and start the run again.",
        1,
    ),
    (TrialFailed("None of 3 trials has a validation AUC."), "failed", "None of 3 trials has a validation AUC.", 1),
    (EmptyVocabulary("no value"), "data_refused", "no value", 2),
]


def wrap(error):
    """Returns an exception that was raised while another one was handled, which was raised from `error`: so do Beam and TFX."""
    inner, outer = RuntimeError("a callback failed"), ValueError("node failed")
    inner.__cause__, outer.__context__ = error, inner
    return outer


def ending(error):
    summary = Summary(run_id="1", name="demo")
    summary.end(*explain_failure(error))
    return summary.status, summary.refused_because, summary.exit_code


@pytest.mark.parametrize(("error", "status", "reason", "exit_code"), ENDINGS)
def test_what_a_user_can_correct_is_a_sentence_of_its_own(error, status, reason, exit_code):
    assert ending(error) == (status, reason, exit_code)
    assert ending(wrap(error)) == (status, reason, exit_code)


FULL_DISK = "the disk is full: free some space, or name a place on another disk."
SAVE = "{{function_node __wrapped__SaveV2_device_/job:localhost/device:CPU:0}} /w/part-0.data; No space left on device [Op:SaveV2]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SAVE, f"/w/part-0.data: {FULL_DISK}"),
        ("/w/events.v2; No space left on device\n\tCould not flush events file.", f"/w/events.v2: {FULL_DISK}"),
        ("Error when executing query: database or disk is full query:  INSERT INTO `Type`", f"Writing: {FULL_DISK}"),
        (  # after a statement of the transaction found no room
            "Error when executing query: cannot commit - no transaction is active query: COMMIT;",
            "Writing: the database took back a change: free some space, or look at the disk.",
        ),
        ("OSError: [Errno 28] No space left on device [while running 'Write']", f"Writing: {FULL_DISK}"),
        ("/w/x; Disk quota exceeded", "/w/x: the disk quota is used up: free some space, or name a place on another disk."),
        ("/w/x; File too large", "/w/x: the file grows beyond what is allowed (ulimit -f): raise the limit."),
        ("/w/x; Permission denied", "/w/x: permission is denied: change the permissions, or name another place."),
        ("/w/x; Read-only file system", "/w/x: the file system is read-only: name another place."),
        ("/w/x; Too many open files", "/w/x: this process has too many files open (ulimit -n): raise the limit."),
        ("/w/x; File name too long", "/w/x: the path is too long: name a shorter one."),
        ("attempt to write a readonly database", "Writing: permission is denied: change the permissions, or name another place."),
        (
            "executing query: disk I/O error query: COMMIT;",
            "Writing: the disk, or the limit of file sizes (ulimit -f)",
        ),
        *(
            (text, "Writing: the database server of metadata.url does not answer")
            for text in (  # measured: the server was ended in the middle of a run
                "PostgreSQL metadata source error: FATAL:  terminating connection due to administrator command\nserver closed the",
                "Failed to establish connection to Metadata storage: PostgreSQL metadata source error: connection pointer is NULL",
                "mysql_query failed: errno: Lost connection to MySQL server during query, error: Lost connection to MySQL server",
                "Failed to establish connection to Metadata storage with error: mysql_real_connect failed: errno: , error: ",
            )
        ),
        ("database is locked", "Writing: the database is locked: wait for the program that uses it."),
    ],
)
def test_a_full_disk_in_a_library_is_a_sentence(text, reason):
    """TensorFlow, ML Metadata and Beam hand on the text of the system's error without its number (case 22). Measured on a full tmpfs."""
    for error in (RuntimeError(text), wrap(RuntimeError(text))):
        status, sentence, exit_code = ending(error)
        assert (status, exit_code) == ("failed", 2) and sentence.startswith(reason) and "\n" not in sentence


def test_a_reason_of_ours_is_not_taken_for_the_system_s():
    assert ending(wrap(InputError("/d cannot be written (No space left on device): name another place.")))[1].startswith("/d cannot")


def test_anything_else_is_named_by_its_class_and_first_line():
    assert ending(ValueError("\nshapes differ\nat line 3\n")) == ("failed", "ValueError: shapes differ", 1)
    assert ending(ValueError()) == ("failed", "ValueError: no message", 1)
    assert ending(OSError(errno.EPIPE, "Broken pipe"))[1] == "BrokenPipeError: [Errno 32] Broken pipe"


def test_an_interrupted_run_has_no_reason():
    assert ending(KeyboardInterrupt()) == ("interrupted", None, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "A file that this run needs is gone: leave the workspace"),  # as TFX raises it
        ("/w/Split-train/a.gz; No such file or directory [Op:IteratorGetNext]", "/w/Split-train/a.gz is gone: leave the workspace"),
        ("Op type not registered 'A' in binary", "NotFoundError: Op type not registered 'A' in binary"),
    ],
)
def test_a_file_that_vanishes_during_a_run_is_named(text, reason):
    kind = type("NotFoundError", (Exception,), {})  # TFX and TensorFlow have an exception of this name each
    status, sentence, exit_code = ending(kind(text))
    assert (status, exit_code) == ("failed", 1) and sentence.startswith(reason)
