"""What a run shows beside its verdict: scores of a few impressions, and the HTML report. If one fails, a note in the summary says why."""

import logging
from pathlib import Path

from components.base.shards import shard_files
from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import split_files
from pipeline.records.run_list import METADATA_FILE
from pipeline.records.summary import Summary
from pipeline.report.content import DETAILS_FILE
from pipeline.run.ending.failure import explain_failure
from pipeline.run.run_folder import write_json

_SAMPLES = 5


def score_samples(summary: Summary, workspace: Path, data: Path, features: FeatureConfig) -> None:
    """Scores a few impressions of the eval split, and puts them into the summary.

    Args:
        summary: It is changed.
        workspace: The workspace of the run.
        data: The data set with the eval split.
        features: The feature definition.
    """
    try:
        from pipeline.predict.sample_predictions import sample_predictions

        model, files = Path(str(summary.model_path)), _eval_files(summary.run_id, workspace, data)
        summary.sample_predictions = sample_predictions(model, files, features, _SAMPLES)
    except (Exception, KeyboardInterrupt) as error:
        logging.exception("no sample predictions")
        summary.notes.append(_missing("sample predictions", error))


def make_report(summary: Summary, folder: Path, data: Path) -> None:
    """Writes the HTML report, and names it in the summary.

    Args:
        summary: It is changed.
        folder: The folder of the run.
        data: The data set with the eval split.
    """
    try:
        write_details(summary, folder, data)
        from pipeline.report.page import write_report

        summary.report_path = str(write_report(folder, folder.parents[1]))
    except (Exception, KeyboardInterrupt) as error:
        logging.exception("no report")
        summary.notes.append(_missing("report", error))


def write_details(summary: Summary, folder: Path, data: Path) -> None:
    """Gathers what the report shows beside the evaluation, while it is there. A note says what is missing."""
    from pipeline.report.gather.details import gather_details

    workspace = folder.parents[1]
    files, spans = _eval_files(summary.run_id, workspace, data), list(summary.span_examples or {})[-2:]  # the newest and the one before it
    details = gather_details(workspace / METADATA_FILE, summary.run_id, Path(str(summary.model_path)), files, spans)
    summary.notes += [f"The report's part {name!r} is missing: {reason}" for name, reason in details["failed"].items()]
    summary.notes += (details["data"] or {}).get("missing", [])
    write_json(folder / DETAILS_FILE, details)


def _eval_files(run_id: str, workspace: Path, data: Path) -> list[Path]:
    """Returns the files of the eval split: those that the spans were put together to, or those of the data set."""
    from pipeline.records.metadata_store import RunOutputs

    window = RunOutputs(workspace / METADATA_FILE, run_id).uri("Window", "examples")
    return shard_files(window / "Split-eval") if window else split_files(data, "eval")


def _missing(what: str, error: BaseException) -> str:
    return f"The run has no {what}: {explain_failure(error).reason or 'it was interrupted.'}"
