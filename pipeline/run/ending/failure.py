"""Turns the exception that ended a run into a status, one sentence and an exit code."""

from typing import NamedTuple

from components.base.errors import DataError, InputError, causes, explain_place
from din_trainer.training_errors import EmptyVocabulary, NoCluster, NoStart, TrainingDiverged, TrialFailed, WorkersFailed
from pipeline.records.summary import Status

BAD_INPUT = 2  # the exit code of what the user can correct


class Ending(NamedTuple):
    """How a run ends.

    Attributes:
        status: For the summary.
        reason: One sentence; None for a run that the user interrupted.
        exit_code: None stands for the usual exit code of the status.
    """

    status: Status
    reason: str | None
    exit_code: int | None = None


def explain_failure(error: BaseException) -> Ending:
    """Finds the first exception that has an explanation, in the chain of what `error` was raised from: Beam and TFX wrap exceptions."""
    if isinstance(error, KeyboardInterrupt):
        return Ending("interrupted", None)
    for cause in causes(error):
        if isinstance(cause, DataError):
            return Ending("data_refused", str(cause))
        if isinstance(cause, EmptyVocabulary):
            return Ending("data_refused", str(cause))
        if isinstance(cause, InputError | NoStart | NoCluster):
            return Ending("failed", str(cause), BAD_INPUT)
        if isinstance(cause, TrainingDiverged):
            return Ending("failed", str(cause))
    if sentence := explain_place(error):
        return Ending("failed", sentence, BAD_INPUT)
    if failed := next((cause for cause in causes(error) if isinstance(cause, WorkersFailed | TrialFailed)), None):
        return Ending("failed", str(failed))
    if missing := next((sentence for cause in causes(error) if (sentence := _explain_missing(cause))), None):
        return Ending("failed", missing)
    lines = str(error).strip().splitlines() or ["no message"]
    return Ending("failed", f"{type(error).__name__}: {lines[0]}")


def _explain_missing(error: BaseException) -> str | None:
    """A sentence for a file that a run has written or checked, and that is gone; None for any other error."""
    if isinstance(error, FileNotFoundError):
        what = error.filename or ""
    elif type(error).__name__ == "NotFoundError" and (not str(error) or "No such file" in str(error)):  # of TFX, or of TensorFlow
        what = str(error).partition(";")[0]
    else:
        return None
    place = " ".join(str(what).split()) or "A file that this run needs"
    return f"{place} is gone: leave the workspace as it is during a run, and start the run again."
