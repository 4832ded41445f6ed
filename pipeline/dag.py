"""The DAG, top to bottom as in the README's picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.trainer.executor import GenericExecutor
from tfx.components.transform.component import Transform
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.standard_artifact_utils import ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY
from tfx.version import __version__ as tfx_version

import din_trainer
import din_trainer.config
import din_trainer.features
import din_trainer.preprocessing
from components import atomic_pusher, data_gate, verdict
from components.data_gate import DataGate
from components.verdict import Verdict
from din_trainer.config import CHECKPOINTS_KEY, CONFIG_KEY, COUNTS_KEY, EMBEDDINGS_KEY, FEATURES_KEY, SOURCE_KEY
from pipeline import beam, evaluation
from pipeline.config import PipelineConfig
from pipeline.datasets.layout import SPLITS
from pipeline.evaluation import make_eval_config
from pipeline.fingerprint import file_fingerprint, source_fingerprint


class Places(NamedTuple):
    """Where a run reads and writes.

    Attributes:
        data: Folder in the layout of `pipeline.datasets.layout`.
        schema: The schema (.pbtxt).
        artifacts: Pipeline root.
        metadata: SQLite file of the metadata store.
        checkpoints: Of a training that was cut off.
        serving: The served versions of this name.
        baseline: Folder that holds the baseline as TFX lays models out; None if nothing is served.
    """

    data: Path
    schema: Path
    artifacts: Path
    metadata: Path
    checkpoints: Path
    serving: Path
    baseline: Path | None


class DataNodes(NamedTuple):
    """The nodes from the impressions to what a model is trained on."""

    example_gen: ImportExampleGen
    statistics_gen: StatisticsGen
    schema_gen: ImportSchemaGen
    example_validator: ExampleValidator
    data_gate: BaseComponent
    transform: Transform


def _data_nodes(config: PipelineConfig, places: Places) -> DataNodes:
    splits = [example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*.tfrecord.gz") for split in SPLITS]
    example_gen = ImportExampleGen(input_base=str(places.data), input_config=example_gen_pb2.Input(splits=splits))
    examples = example_gen.outputs["examples"]

    statistics_gen = StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]

    schema_gen = ImportSchemaGen(schema_file=str(places.schema))
    schema = schema_gen.outputs["schema"]

    example_validator = ExampleValidator(statistics=statistics, schema=schema)
    data_gate_node = DataGate(anomalies=example_validator.outputs["anomalies"], source_fingerprint=source_fingerprint(data_gate))

    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="din_trainer.preprocessing.preprocessing_fn",
        custom_config={
            FEATURES_KEY: config.features.model_dump_json(),
            COUNTS_KEY: config.training.regularization > 0,
            SOURCE_KEY: source_fingerprint(din_trainer.preprocessing, din_trainer.features, din_trainer.config),
        },
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "validation"]),
        disable_analyzer_cache=True,
        disable_statistics=True,
    )
    transform.add_upstream_node(data_gate_node)
    return DataNodes(example_gen, statistics_gen, schema_gen, example_validator, data_gate_node, transform)


def _pipeline(config: PipelineConfig, places: Places, nodes: Sequence[BaseNode]) -> Pipeline:
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(places.artifacts),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=sqlite_metadata_connection_config(str(places.metadata)),
        beam_pipeline_args=beam.local_options(),
    )


def create_data_pipeline(config: PipelineConfig, places: Places) -> Pipeline:
    """The pipeline up to Transform: for whoever trains on its output by other means."""
    return _pipeline(config, places, _data_nodes(config, places))


def create_pipeline(config: PipelineConfig, places: Places, run_id: str) -> Pipeline:
    """The whole pipeline, ready for any runner."""
    data = _data_nodes(config, places)
    examples, schema = data.example_gen.outputs["examples"], data.schema_gen.outputs["schema"]

    trainer = Trainer(
        run_fn="din_trainer.trainer.run_fn",
        custom_executor_spec=ExecutorClassSpec(GenericExecutor),
        custom_config={
            CONFIG_KEY: config.din.model_dump_json(),
            EMBEDDINGS_KEY: {name: file_fingerprint(v.embeddings) for name, v in config.features.vocabularies.items() if v.embeddings},
            CHECKPOINTS_KEY: str(places.checkpoints),
            SOURCE_KEY: source_fingerprint(din_trainer),
        },
        examples=data.transform.outputs["transformed_examples"],
        transform_graph=data.transform.outputs["transform_graph"],
        schema=schema,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["validation"]),
    )
    model = trainer.outputs["model"]

    baseline = _import_baseline(places.baseline) if places.baseline else None
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["result"] if baseline else None,
        eval_config=make_eval_config(config),
        schema=schema,
        example_splits=["eval"],
        module_path="pipeline.evaluation",
    ).with_beam_pipeline_args([*beam.local_options(), f"--source_fingerprint={source_fingerprint(evaluation)}"])

    verdict_node = Verdict(
        evaluation=evaluator.outputs["evaluation"],
        evaluator_blessing=evaluator.outputs["blessing"],
        model=model,
        source_fingerprint=source_fingerprint(verdict),
    )

    pusher = Pusher(
        model=model,
        model_blessing=verdict_node.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(places.serving))),
        custom_executor_spec=ExecutorClassSpec(atomic_pusher.Executor),
        custom_config={"run_id": run_id},  # never from the cache: what is served may have changed since
    )

    return _pipeline(config, places, [*data, trainer, *([baseline] if baseline else []), evaluator, verdict_node, pusher])


def _import_baseline(folder: Path) -> Importer:
    """The model now served, as a Model artifact in TFX's current layout."""
    return Importer(
        source_uri=str(folder),
        artifact_type=standard_artifacts.Model,
        custom_properties={ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY: tfx_version},
    ).with_id("Baseline")
