"""What follows a run that has ended: the workspace is cleaned, and other programs are told. How the run ended does not depend on it."""

import logging
from pathlib import Path

from components.base.errors import InputError
from pipeline.configuration.pipeline_config import NotifyConfig, PipelineConfig
from pipeline.records.summary import Summary
from pipeline.run.ending.failure import explain_failure


def clean_up(workspace: Path, config: PipelineConfig) -> list[str]:
    """Deletes old runs and leftovers. Returns a sentence on what was deleted, or on why it was not."""
    from pipeline.housekeeping.clean import clean_after_run

    try:
        done = clean_after_run(workspace, config.workspace.keep_runs, config.name)
    except (Exception, KeyboardInterrupt) as error:
        logging.exception("the workspace is not cleaned")
        done = f"The workspace is not cleaned: {explain_failure(error).reason or 'it was interrupted.'}"
    return [done] if done else []


def tell_others(summary: Summary, workspace: Path, config: NotifyConfig) -> list[str]:
    """Calls the command of the user, and writes the file for Prometheus. Returns a sentence for each that failed."""
    from pipeline.records.metrics_file import write_metrics_file
    from pipeline.run.ending.notify import notify

    failures = [sentence for sentence in [notify(config, summary)] if sentence]
    try:
        write_metrics_file(summary, workspace)
    except InputError as error:
        failures.append(str(error))
    return failures
