"""Which status, sentence and exit code an exception gives a run."""

import errno

import pytest

from components.base.errors import DataError, InputError
from components.data_gate import DataRefused
from din_trainer.training_errors import TrainingDiverged
from pipeline.records.summary import Summary
from pipeline.run.failure import explain_failure

DIVERGED = "Training diverged in epoch 3: lower training.learning_rate or set training.clip_norm."
FULL = OSError(errno.ENOSPC, "No space left on device", "/serving/1")
ENDINGS = [
    (DataError("/d/train holds no impressions."), "data_refused", "/d/train holds no impressions.", 2),
    (DataRefused("feature user_id, split eval: out of range."), "data_refused", "feature user_id, split eval: out of range.", 2),
    (InputError("/d cannot be read."), "failed", "/d cannot be read.", 2),
    (FULL, "failed", "/serving/1: the disk is full: free some space, or name a place on another disk.", 2),
    (TrainingDiverged(DIVERGED), "failed", DIVERGED, 1),
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


def test_anything_else_is_named_by_its_class_and_first_line():
    assert ending(ValueError("\nshapes differ\nat line 3\n")) == ("failed", "ValueError: shapes differ", 1)
    assert ending(ValueError()) == ("failed", "ValueError: no message", 1)
    assert ending(OSError(errno.EPIPE, "Broken pipe"))[1] == "BrokenPipeError: [Errno 32] Broken pipe"


def test_an_interrupted_run_has_no_reason():
    assert ending(KeyboardInterrupt()) == ("interrupted", None, 1)
