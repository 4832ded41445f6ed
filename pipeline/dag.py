"""The DAG, top to bottom as in the README's picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfx.components.evaluator.component import Evaluator
from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.infra_validator.component import InfraValidator
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
from tfx.proto import example_gen_pb2, infra_validator_pb2, pusher_pb2, trainer_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.standard_artifact_utils import ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY
from tfx.version import __version__ as tfx_version

import din_trainer
import din_trainer.config
import din_trainer.features
import din_trainer.preprocessing
from components import (
    artifacts,
    atomic_pusher,
    data_gate,
    impressions,
    infra_gate,
    sameness,
    slice_columns,
    tolerance,
    user_bootstrap,
    verdict,
)
from components.data_gate import DataGate
from components.infra_gate import InfraGate
from components.sameness import Sameness
from components.slice_columns import SliceColumns
from components.user_bootstrap import UserBootstrap
from components.verdict import Verdict
from din_trainer.config import CHECKPOINTS_KEY, CONFIG_KEY, COUNTS_KEY, EMBEDDINGS_KEY, FEATURES_KEY, SOURCE_KEY
from pipeline import (
    additive,
    beam,
    bootstrap,
    buckets,
    curves,
    evaluation,
    gauc,
    ids,
    metrics,
    ranked,
    slices,
    tfma_metrics,
    whole_users,
)
from pipeline.config import PipelineConfig
from pipeline.datasets.layout import SPLITS
from pipeline.evaluation import bootstrap_settings, make_eval_config, rules
from pipeline.fingerprint import file_fingerprint, source_fingerprint
from pipeline.serving import requests

TF_SERVING = "2.19.1"  # the tag of the image that TFX's InfraValidator starts

_METRICS = (additive, gauc, ids, metrics, ranked, slices, tfma_metrics)  # what both evaluations are made of


class Places(NamedTuple):
    """Where a run reads and writes.

    Attributes:
        data: Folder in the layout of `pipeline.datasets.layout`.
        schema: The schema (.pbtxt).
        artifacts: Pipeline root.
        metadata: SQLite file of the metadata store.
        checkpoints: Of a training that was cut off.
        serving: The served versions of this name.
        baseline: Folder that holds the baseline as TFX lays models out; None if there is none.
        requests: Whether the schema has requests, so that ranking within them is measured.
    """

    data: Path
    schema: Path
    artifacts: Path
    metadata: Path
    checkpoints: Path
    serving: Path
    baseline: Path | None
    requests: bool = False


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

    schema_gen = ImportSchemaGen(schema_file=str(places.schema))
    schema = schema_gen.outputs["schema"]

    statistics_gen = StatisticsGen(examples=examples, schema=schema)  # which tells ids from numbers
    statistics = statistics_gen.outputs["statistics"]

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

    columns = _slice_columns(config, examples, schema)
    columns.add_upstream_node(data.data_gate)
    sliced, sliced_schema = columns.outputs["sliced_examples"], columns.outputs["sliced_schema"]

    baseline = _import_baseline(places.baseline) if places.baseline else None
    baseline_model = baseline.outputs["result"] if baseline else None
    evaluator = Evaluator(
        examples=sliced,
        model=model,
        baseline_model=baseline_model,
        eval_config=make_eval_config(config, places.requests),
        schema=sliced_schema,
        example_splits=["eval"],
        module_path="pipeline.evaluation",
    ).with_beam_pipeline_args([*beam.local_options(), f"--source_fingerprint={source_fingerprint(evaluation, whole_users, *_METRICS)}"])

    bootstrap_node = UserBootstrap(
        examples=sliced,
        schema=sliced_schema,
        model=model,
        **({"baseline_model": baseline_model} if baseline_model else {}),
        settings=json.dumps(bootstrap_settings(config, places.requests)),
        source_fingerprint=source_fingerprint(user_bootstrap, impressions, bootstrap, curves, *_METRICS),
    )

    sameness_node = Sameness(
        examples=examples,
        schema=schema,
        transform_graph=data.transform.outputs["transform_graph"],
        model=model,
        model_run=trainer.outputs["model_run"],
        tolerance=config.serving.tolerance,
        source_fingerprint=source_fingerprint(sameness, impressions, artifacts, tolerance, requests),
    )
    loading = _loading_gate(config, examples, model, sameness_node.outputs["sample"], run_id)

    verdict_node = Verdict(
        evaluation=evaluator.outputs["evaluation"],
        evaluator_blessing=evaluator.outputs["blessing"],
        intervals=bootstrap_node.outputs["intervals"],
        sample=sameness_node.outputs["sample"],
        infra_blessing=loading.outputs["blessing"],
        model=model,
        rules=json.dumps(rules(config)),
        source_fingerprint=source_fingerprint(verdict, slices),
    )

    pusher = Pusher(
        model=model,
        model_blessing=verdict_node.outputs["blessing"],
        infra_blessing=loading.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(places.serving))),
        custom_executor_spec=ExecutorClassSpec(atomic_pusher.Executor),
        custom_config={
            "run_id": run_id,  # never from the cache: what is served may have changed since
            atomic_pusher.SETTINGS_KEY: json.dumps(_push_settings(config)),
        },
    )

    gates = [evaluator, bootstrap_node, sameness_node, loading, verdict_node]
    return _pipeline(config, places, [*data, trainer, columns, *([baseline] if baseline else []), *gates, pusher])


def _loading_gate(config: PipelineConfig, examples: Channel, model: Channel, sample: Channel, run_id: str) -> BaseComponent:
    """What finds out whether a server can load and ask the model."""
    if config.serving.gate == "docker":
        image = infra_validator_pb2.TensorFlowServing(tags=[TF_SERVING])
        asked = infra_validator_pb2.TensorFlowServingRequestSpec(signature_names=["serving_default"])
        return InfraValidator(
            model=model,
            examples=examples,
            serving_spec=infra_validator_pb2.ServingSpec(tensorflow_serving=image, local_docker=infra_validator_pb2.LocalDockerConfig()),
            request_spec=infra_validator_pb2.RequestSpec(tensorflow_serving=asked, split_name="eval"),
        )
    settings = config.serving.model_dump(include=set(infra_gate.Settings._fields))
    return InfraGate(model=model, sample=sample, settings=json.dumps(settings), run_id=run_id)


def _push_settings(config: PipelineConfig) -> dict[str, Any]:
    """How `pipeline.serving.push` is to push. A version that the configuration names as the baseline stays."""
    baseline = config.evaluation.baseline
    return {
        **config.serving.model_dump(include={"keep", "push_to", "base_path", "poll_seconds"}),
        "pinned": [int(baseline)] if baseline.isdecimal() else [],
    }


def _slice_columns(config: PipelineConfig, examples: Channel, schema: Channel) -> BaseComponent:
    """Only the columns that some slice asks for."""
    asked = {name for features in config.evaluation.slice_features for name in features}
    columns = {name: column for name, column in config.slice_columns.items() if name in asked}
    return SliceColumns(
        examples=examples,
        schema=schema,
        lengths=json.dumps({name: feature for name, (kind, feature) in columns.items() if kind == "length"}),
        counted=json.dumps({name: feature for name, (kind, feature) in columns.items() if kind == "count"}),
        source_fingerprint=source_fingerprint(slice_columns, impressions, buckets),
    )


def _import_baseline(folder: Path) -> Importer:
    """The model now served, as a Model artifact in TFX's current layout."""
    return Importer(
        source_uri=str(folder),
        artifact_type=standard_artifacts.Model,
        custom_properties={ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY: tfx_version},
    ).with_id("Baseline")
