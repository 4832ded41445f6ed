"""The paths that one run reads and writes: they are prepared before its DAG is made."""

from pathlib import Path

from components.serving.store.versions import next_version
from din_trainer.features import REQUEST_ID
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.dag import Places
from pipeline.records.run_list import METADATA_FILE
from pipeline.run.baseline import link_baseline, stable_version
from pipeline.run.check_impressions import DataFacts
from pipeline.run.data_schema import check_evaluation, read_schema, write_schema


def prepare_places(config: PipelineConfig, data: Path, facts: DataFacts, workspace: Path) -> Places:
    """Writes the schema, finds the stable version, and links the baseline.

    Raises:
        InputError: The schema, the thresholds, the slices or the baseline do not fit the data or the configuration, or no version can
            be pushed after those that are there.
    """
    name = config.name
    schema_file = write_schema(config, data, facts, workspace / "schemas")
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
    )
