"""The first container of a compiled pipeline: the checks of `din run`, and the parameters of all nodes for this one run."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.stores import check_store
from components.base.tfx_pins import quick_imports
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.datasets.spans import has_spans
from pipeline.run.checks.check_environment import (
    check_gate,
    check_named_files,
    check_serving_store,
    check_workspace,
    silent_servers,
)
from pipeline.run.checks.check_impressions import check_data
from pipeline.run.checks.cut_values import cut_notes
from pipeline.terminal import say

_FILE = "prepared.json"  # in the artifact


class Prepared(NamedTuple):
    """What the other containers take from the first one.

    Attributes:
        spec: The pipeline as TFX compiles it for this run: the executors, and the parameters of the nodes.
        baseline: The folder that holds the baseline as TFX lays models out; None if there is none.
    """

    spec: dict[str, Any]
    baseline: Path | None


def prepare(config: PipelineConfig, data: Path, workspace: Path, run_id: str, folder: Path) -> None:
    """Checks the data, writes its schema to the workspace, finds the baseline, and compiles the DAG for this run. Prints what was found.

    Args:
        config: The configuration.
        data: The data set, as the containers see it.
        workspace: The workspace, as the containers see it.
        run_id: The id of the run. A training continues only from checkpoints of its own run.
        folder: Receives what `read_prepared` reads.

    Raises:
        InputError: As `din run`, before its DAG.
    """
    check_workspace(workspace)
    check_store(data)
    if has_spans(data):
        raise InputError(f"{data} holds spans, which only din run reads: let a scheduler call din run --until-current.")
    check_gate(config.serving)
    check_serving_store(config.serving)
    notes = silent_servers(config.serving, workspace / "serving" / config.name)
    check_named_files(config.features)
    facts = check_data(data, config.features)
    notes += cut_notes(facts.cut, config.features)
    with quick_imports():
        from pipeline.dag import create_pipeline
        from pipeline.run.inputs.data_schema import unchecked_by_run
        from pipeline.run.inputs.prepare_places import prepare_places
        from pipeline.runners.kubeflow import tfx_spec

    places = prepare_places(config, data, facts, workspace)
    checkpoints = places.checkpoints.with_name(f"{config.name}.{run_id}")
    spec = tfx_spec(create_pipeline(config, places._replace(checkpoints=checkpoints, previous=None), run_id))
    content = {"spec": spec, "baseline": str(places.baseline) if places.baseline else None}
    write_whole(folder / _FILE, [json.dumps(content)])
    counts = ", ".join(f"{split} {count:,}" for split, count in facts.examples.items())
    say(f"Impressions: {counts}. Schema: {places.schema}. Baseline: {places.baseline.name if places.baseline else 'none'}.")
    for note in [*notes, *unchecked_by_run(config)]:
        say(note)


def read_prepared(folder: Path) -> Prepared:
    """Reads what `prepare` wrote.

    Raises:
        InputError: It is not there.
    """
    try:
        content = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} does not hold what Prepare writes ({error}): start the run again.") from error
    return Prepared(content["spec"], Path(content["baseline"]) if content["baseline"] else None)
