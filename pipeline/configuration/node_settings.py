"""The settings of each node of the DAG, from the configuration. `pipeline/dag.py` has the nodes and connects them.

Each function returns the keyword arguments of one node, except its inputs. If the node's output depends on our code, the arguments have a
fingerprint of that code, so that TFX does not reuse a cached result of other code.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.proto import example_gen_pb2, infra_validator_pb2, pusher_pb2, range_config_pb2, trainer_pb2, transform_pb2

from components import atomic_pusher, infra_gate
from components.base.fingerprint import file_fingerprint, source_fingerprint
from components.base.shards import SPAN_SPLIT
from components.evaluation.labels import labels_of
from components.evaluation.metrics.catalogue import METRICS
from components.feature_importance import FeatureImportance
from components.join_lookups import JoinLookups
from components.new_data_score import NewDataScore
from components.sameness import Sameness
from components.slice_columns import SliceColumns
from components.transform import Transform
from components.tuner import Tuner
from components.user_bootstrap import UserBootstrap
from components.verdict import Verdict
from components.window import Window
from din_trainer.config import (
    ANALYZER_CACHE_KEY,
    CHECKPOINTS_KEY,
    CONFIG_KEY,
    COUNTS_KEY,
    FEATURES_KEY,
    FILES_KEY,
    SOURCE_KEY,
    START_KEY,
)
from din_trainer.features import REQUEST_ID, USER_ID
from din_trainer.tuning.tuner_config import TUNER_KEY
from pipeline.configuration.eval_config import bootstrap_request, make_eval_config, rules
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.configuration.start_model import Start
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.spans import Span

PREPROCESSING_FN = "din_trainer.transform.preprocessing.preprocessing_fn"
TUNER_FN = "din_trainer.tuner.tuner_fn"
RUN_FN = "din_trainer.trainer.run_fn"
EXTRACTORS_MODULE = "components.evaluation.tfma.extractors"
NEW_DATA_METRICS = ("auc", "gauc", "calibration", "log_loss")  # of the model that is served, on new data
TF_SERVING = "2.19.1"  # the tag of the image that TFX's InfraValidator starts


def example_gen_settings(data: Path) -> dict[str, Any]:
    """One input split for each folder of the data set."""
    splits = [example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*") for split in SPLITS]
    return {"input_base": str(data), "input_config": example_gen_pb2.Input(splits=splits)}


def span_settings(data: Path, span: Span) -> dict[str, Any]:
    """One input split, of one span: TFX's patterns find its folder by its number."""
    split = example_gen_pb2.Input.Split(name=SPAN_SPLIT, pattern=span.pattern)
    number = range_config_pb2.StaticRange(start_span_number=span.number, end_span_number=span.number)
    return {
        "input_base": str(data),
        "input_config": example_gen_pb2.Input(splits=[split]),
        "output_config": example_gen_pb2.Output(),  # the same split: by default TFX makes two of one
        "range_config": range_config_pb2.RangeConfig(static_range=number),
    }


def window_settings(config: PipelineConfig, spans: Sequence[Span]) -> dict[str, Any]:
    """The share of the last span but one that selects the best epoch."""
    return {
        "names": json.dumps([span.name for span in spans]),
        "validation_share": config.spans.validation_share,
        "source_fingerprint": source_fingerprint(Window),
    }


def new_data_settings(config: PipelineConfig) -> dict[str, Any]:
    """A few metrics of the whole eval split, by label."""
    user = USER_ID if USER_ID in config.features.user else ""
    metrics = [name for name in NEW_DATA_METRICS if user or METRICS[name].within is None]
    settings = {"metrics": metrics, "labels": labels_of(config.features), "user": user}
    return {"settings": json.dumps(settings), "source_fingerprint": source_fingerprint(NewDataScore)}


def statistics_settings(config: PipelineConfig) -> dict[str, Any]:
    """How large a share of the impressions is read. Without options the schema is an input of the node."""
    return {} if config.statistics.sample == 1 else {"stats_options": tfdv.StatsOptions(sample_rate=config.statistics.sample)}


def transform_settings(config: PipelineConfig, split: str, cache: Path | None, start: Start | None = None) -> dict[str, Any]:
    """Vocabularies and statistics come from one split only. Nothing is transformed here: training and evaluation read raw impressions.

    Args:
        config: The configuration of the run.
        split: The split that is counted.
        cache: Folder with what earlier runs have counted; None counts everything.
        start: The start model, whose values and scales are kept; None without a warm start.
    """
    custom = {
        FEATURES_KEY: config.features.model_dump_json(),
        COUNTS_KEY: config.counts_read,
        SOURCE_KEY: source_fingerprint(PREPROCESSING_FN, Transform),
        **({ANALYZER_CACHE_KEY: str(cache)} if cache else {}),
        **({START_KEY: start.for_transform(config.training.forget_after)} if start else {}),
    }
    return {
        "preprocessing_fn": PREPROCESSING_FN,
        "custom_config": custom,
        "splits_config": transform_pb2.SplitsConfig(analyze=[split]),
        "materialize": False,
        "disable_analyzer_cache": True,
        "disable_statistics": True,
    }


def join_settings(config: PipelineConfig) -> dict[str, Any]:
    """The tables that are joined, and their content."""
    tables = {name: file_fingerprint(lookup.table) for name, lookup in config.features.lookups.items()}
    return {
        "features": config.features.model_dump_json(),
        "tables": json.dumps(tables),
        "source_fingerprint": source_fingerprint(JoinLookups),
    }


def tuner_settings(config: PipelineConfig, finished: Path) -> dict[str, Any]:
    """Trials learn from train/ and are compared on validation/, as a training. Those that have finished are in a folder."""
    custom = {
        CONFIG_KEY: config.din.model_dump_json(),
        TUNER_KEY: config.tuner.model_dump_json(),
        FILES_KEY: {name: file_fingerprint(file) for name, file in config.features.files.items()},
        CHECKPOINTS_KEY: str(finished),
        SOURCE_KEY: f"{source_fingerprint(TUNER_FN, Tuner)} keras-tuner {version('keras-tuner')}",
    }
    return {
        "tuner_fn": TUNER_FN,
        "custom_config": custom,
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=["validation"]),
    }


def trainer_settings(config: PipelineConfig, checkpoints: Path, start: Start | None = None) -> dict[str, Any]:
    """Training reads train/ and selects the best epoch on validation/. It may begin with the weights of a start model."""
    custom = {
        CONFIG_KEY: config.din.model_dump_json(),
        FILES_KEY: {name: file_fingerprint(file) for name, file in config.features.files.items()},
        CHECKPOINTS_KEY: str(checkpoints),
        SOURCE_KEY: source_fingerprint(RUN_FN),
        **({START_KEY: start.for_trainer()} if start else {}),
    }
    return {
        "run_fn": RUN_FN,
        "custom_executor_spec": ExecutorClassSpec(GenericExecutor),
        "custom_config": custom,
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=["validation"]),
    }


def slice_columns_settings(config: PipelineConfig) -> dict[str, Any]:
    """Only the columns that some slice needs, and the features to slice by that may be missing. A number may be −1."""
    features, asked = config.features, {name for features in config.evaluation.slice_features for name in features}
    declared = [*features.columns, *features.joined_columns, *features.kept_columns]
    optional = {column.name for column in declared if column.presence == "optional" and not column.is_number} & asked
    return {
        "columns": json.dumps({name: column._asdict() for name, column in config.slice_columns.items() if name in asked}),
        "optional": json.dumps(sorted({*optional, REQUEST_ID})),
        "source_fingerprint": source_fingerprint(SliceColumns),
    }


def evaluator_settings(config: PipelineConfig, requests: bool) -> dict[str, Any]:
    """Metrics, slices and the overall thresholds, on eval/ only."""
    return {
        "eval_config": make_eval_config(config, requests),
        "example_splits": ["eval"],
        "module_path": EXTRACTORS_MODULE,
    }


def user_bootstrap_settings(config: PipelineConfig, requests: bool) -> dict[str, Any]:
    """The slices and metrics that get intervals."""
    return {"settings": json.dumps(bootstrap_request(config, requests)), "source_fingerprint": source_fingerprint(UserBootstrap)}


def importance_settings(config: PipelineConfig) -> dict[str, Any]:
    """How many impressions are scored again, on which slices, and how the intervals are computed."""
    importance, bootstrap = config.evaluation.importance, config.evaluation.bootstrap
    settings = {"impressions": importance.impressions, "slices": [[name] for name in importance.slices], **bootstrap.model_dump()}
    return {
        "features": config.features.model_dump_json(),
        "settings": json.dumps(settings),
        "source_fingerprint": source_fingerprint(FeatureImportance),
    }


def sameness_settings(config: PipelineConfig) -> dict[str, Any]:
    """How much a served score may differ from the trained model's."""
    return {"tolerance": config.serving.tolerance, "source_fingerprint": source_fingerprint(Sameness)}


def infra_gate_settings(config: PipelineConfig, run_id: str) -> dict[str, Any]:
    """The bounds of latency and memory. The run id keeps the node out of the cache, because measurements must be new."""
    settings = config.serving.model_dump(include=set(infra_gate.Settings._fields))
    return {"settings": json.dumps(settings), "run_id": run_id}


def infra_validator_settings() -> dict[str, Any]:
    """TFX's own gate, which starts TF Serving in Docker."""
    image = infra_validator_pb2.TensorFlowServing(tags=[TF_SERVING])
    request = infra_validator_pb2.TensorFlowServingRequestSpec(signature_names=["serving_default"])
    return {
        "serving_spec": infra_validator_pb2.ServingSpec(tensorflow_serving=image, local_docker=infra_validator_pb2.LocalDockerConfig()),
        "request_spec": infra_validator_pb2.RequestSpec(tensorflow_serving=request, split_name="eval"),
    }


def verdict_settings(config: PipelineConfig) -> dict[str, Any]:
    """The thresholds that the metrics must reach."""
    return {"rules": json.dumps([rule._asdict() for rule in rules(config)]), "source_fingerprint": source_fingerprint(Verdict)}


def pusher_settings(config: PipelineConfig, serving: Path, stable: int | None, run_id: str) -> dict[str, Any]:
    """How `components.serving.store.push` pushes. The run id keeps the node out of the cache, because served versions may have changed."""
    baseline = config.evaluation.baseline
    settings = {
        **config.serving.model_dump(include={"keep", "push_to", "base_path", "poll_seconds", "servers", "wait_seconds"}),
        "store": f"{config.serving.store.rstrip('/')}/{config.name}" if config.serving.store else "",
        "pinned": [int(baseline)] if baseline.isdecimal() else [],  # the version that the configuration names as the baseline is kept
        "replaces": stable,
    }
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=str(serving))
    return {
        "push_destination": pusher_pb2.PushDestination(filesystem=filesystem),
        "custom_executor_spec": ExecutorClassSpec(atomic_pusher.Executor),
        "custom_config": {"run_id": run_id, atomic_pusher.SETTINGS_KEY: json.dumps(settings)},
    }
