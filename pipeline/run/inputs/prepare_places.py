"""The paths that one run reads and writes: they are prepared before its DAG is made."""

from pathlib import Path

from components.serving.store.versions import next_version
from din_trainer.features import REQUEST_ID
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.places import Places
from pipeline.records.run_list import METADATA_FILE
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.inputs.baseline import link_baseline, link_served, stable_version
from pipeline.run.inputs.compared_data import find_previous, find_requests
from pipeline.run.inputs.data_schema import check_evaluation, read_schema, write_schema
from pipeline.run.spans.span_plan import SpanPlan


def prepare_places(config: PipelineConfig, data: Path, facts: DataFacts, workspace: Path, plan: SpanPlan | None = None) -> Places:
    """Writes the schema, finds the stable version, and links the baseline.

    Args:
        config: The configuration of the run.
        data: The data set: with spans in it, or with splits.
        facts: What was found in it.
        workspace: The workspace.
        plan: The spans of the run; None in a run without spans.

    Raises:
        InputError: The schema, the thresholds, the slices or the baseline do not fit the data or the configuration, or no version can
            be pushed after those that are there.
    """
    name, logged = config.name, find_requests(config.requests)
    spans = () if plan is None or plan.has_own_splits else plan.spans
    schema_file = write_schema(config, data, facts, workspace / "schemas", spans[:-1] or spans)
    features = {feature.name for feature in read_schema(schema_file).feature}
    check_evaluation(config, features, data, schema_file)
    serving, artifacts = workspace / "serving" / name, workspace / "artifacts" / name
    next_version(serving)  # a push that cannot have a version is refused before the training
    stable = stable_version(serving)  # read before the baseline: if a promotion comes between the two, the push is refused
    return Places(
        data=data,
        schema=schema_file,
        artifacts=artifacts,
        metadata=workspace / METADATA_FILE,
        checkpoints=workspace / "checkpoints" / name,
        serving=serving,
        baseline=link_baseline(config, serving, artifacts / "baseline"),
        stable=stable,
        requests=REQUEST_ID in features,
        checked=facts.fingerprint,
        analyses=workspace / "analyzer_cache" / name,
        spans=spans,
        served=link_served(config, serving, artifacts / "baseline") if plan else None,
        previous=find_previous(workspace, name, facts.fingerprint),
        logged=logged,
    )
