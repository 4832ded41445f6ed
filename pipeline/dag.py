"""The DAG of the pipeline: its nodes and what flows between them, in the order of the README's picture.

The first nodes, which read and check the data, are in `pipeline/data_nodes.py`, the settings of all nodes in
`pipeline/configuration/node_settings.py`.
"""

from collections.abc import Sequence
from pathlib import Path

from tfx.components.infra_validator.component import InfraValidator
from tfx.components.pusher.component import Pusher
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.standard_artifact_utils import ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY
from tfx.version import __version__ as tfx_version

from components.base.shards import SPAN_SPLIT
from components.evaluator import Evaluator
from components.feature_importance import FeatureImportance
from components.infra_gate import InfraGate
from components.new_data_score import NewDataScore
from components.sameness import Sameness
from components.slice_columns import SliceColumns
from components.transform import Transform
from components.tuner import Tuner
from components.user_bootstrap import UserBootstrap
from components.verdict import Verdict
from pipeline.configuration import node_settings as settings
from pipeline.configuration.eval_config import METRICS_MODULE
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.data_nodes import Data, read_data
from pipeline.places import Places
from pipeline.records.store_place import connection_config
from pipeline.runners import beam_options


def create_pipeline(config: PipelineConfig, places: Places, run_id: str) -> Pipeline:
    """Makes the whole pipeline, from the impressions to the served version.

    Args:
        config: The configuration.
        places: The paths that the nodes read and write, and the version that is stable now.
        run_id: Keeps the nodes that measure or push out of TFX's cache.

    Returns:
        The pipeline, for any runner.
    """
    data = read_data(config, places)
    examples, schema = data.examples, data.schema

    transform = _transform(config, places, data)
    transform_graph = transform.outputs["transform_graph"]

    # Scores the newest span with the model that is served now, before the training, because this shows how it does on new data.
    served = _score_new_data(config, data, places.served) if places.served else []

    # Tries settings on train/ and validation/, because the best ones differ from data set to data set. Its best one is what Trainer takes.
    tuner = _tuner(config, places, data, transform_graph)
    tuned = {"hyperparameters": tuner[0].outputs["best_hyperparameters"]} if tuner else {}

    # Trains the model and exports the epoch that is best on validation/, because eval/ must stay unseen until the model is judged.
    trainer = Trainer(
        examples=examples,
        transform_graph=transform_graph,
        schema=schema,
        **tuned,
        **settings.trainer_settings(config, places.checkpoints, places.start),
    )
    for node in (*tuner, trainer):
        node.add_upstream_nodes(served)
    model = trainer.outputs["model"]

    # Adds a history's length, a user's activity and an item's popularity, because slices by them show which users a model fails.
    slice_columns = SliceColumns(examples=examples, schema=schema, **settings.slice_columns_settings(config))
    slice_columns.add_upstream_nodes(data.gates)
    sliced, sliced_schema = slice_columns.outputs["sliced_examples"], slice_columns.outputs["sliced_schema"]

    # Brings in the baseline, by default the model that is served now, so that both are judged on the same examples.
    baseline = [_import_model(places.baseline, "Baseline")] if places.baseline else []
    compared = {"baseline_model": baseline[0].outputs["result"]} if baseline else {}

    # Computes each metric on each slice through the served signature, because this is the model that users meet.
    evaluator = Evaluator(
        examples=sliced, schema=sliced_schema, model=model, **compared, **settings.evaluator_settings(config, places.requests)
    )
    beam_options.add_fingerprint(evaluator, Evaluator, settings.EXTRACTORS_MODULE, METRICS_MODULE)

    # Adds confidence intervals, by drawing users of eval/ again and again, because a small difference can be chance.
    user_bootstrap = UserBootstrap(
        examples=sliced, schema=sliced_schema, model=model, **compared, **settings.user_bootstrap_settings(config, places.requests)
    )

    # Exchanges the values of each feature, because the AUC that is lost shows which features the model needs.
    importance = (
        [FeatureImportance(examples=sliced, schema=sliced_schema, model=model, **settings.importance_settings(config))]
        if config.evaluation.importance.impressions
        else []
    )

    # Compares the scores of the export with those of the trained model, because an export can differ without an error.
    sameness = Sameness(
        examples=examples,
        schema=schema,
        transform_graph=transform_graph,
        model=model,
        model_run=trainer.outputs["model_run"],
        **settings.sameness_settings(config),
    )

    # Loads the export as a server does and sends it requests, because a good model can still be slow, too large or not loadable.
    loading_gate = _loading_gate(config, examples, model, sameness.outputs["sample"], run_id)

    # Decides from all that was found, so that one place alone answers for a push.
    verdict = Verdict(
        evaluation=evaluator.outputs["evaluation"],
        intervals=user_bootstrap.outputs["intervals"],
        sample=sameness.outputs["sample"],
        infra_blessing=loading_gate.outputs["blessing"],
        model=model,
        **settings.verdict_settings(config),
    )

    # Copies a blessed model to the served versions, whole or not at all, because a server may read them at any moment.
    pusher = Pusher(
        model=model,
        model_blessing=verdict.outputs["blessing"],
        infra_blessing=loading_gate.outputs["blessing"],
        **settings.pusher_settings(config, places.serving, places.stable, run_id),
    )

    judges = [evaluator, user_bootstrap, *importance, sameness, loading_gate, verdict]
    return _pipeline(config, places, [*data.nodes, transform, *served, *tuner, trainer, slice_columns, *baseline, *judges, pusher])


def create_data_pipeline(config: PipelineConfig, places: Places) -> Pipeline:
    """Makes the pipeline up to Transform, for benchmarks that train other models on its output."""
    data = read_data(config, places)
    return _pipeline(config, places, [*data.nodes, _transform(config, places, data)])


def _transform(config: PipelineConfig, places: Places, data: Data) -> Transform:
    # Learns vocabularies and scales from train/ and puts them into a graph, so that serving transforms features as training does.
    cache = places.analyses if data.counted_split == SPAN_SPLIT else None
    counting = settings.transform_settings(config, data.counted_split, cache, places.start)
    transform = Transform(examples=data.counted, schema=data.schema, **counting)
    transform.add_upstream_nodes(data.gates)
    return transform


def _tuner(config: PipelineConfig, places: Places, data: Data, transform_graph: Channel) -> list[Tuner]:
    """Returns the node that searches for better settings, if the configuration asks for trials."""
    if not config.tuner.trials:
        return []
    search = settings.tuner_settings(config, places.finished_trials)
    return [Tuner(examples=data.examples, schema=data.schema, transform_graph=transform_graph, **search)]


def _pipeline(config: PipelineConfig, places: Places, nodes: Sequence[BaseNode]) -> Pipeline:
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(places.artifacts),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=connection_config(places.metadata),
        beam_pipeline_args=beam_options.local_options(),
    )


def _loading_gate(config: PipelineConfig, examples: Channel, model: Channel, sample: Channel, run_id: str) -> BaseComponent:
    """Returns the node that `serving.gate` names: ours, which uses TensorFlow's C++ loader, or TFX's, which uses Docker."""
    if config.serving.gate == "docker":
        return InfraValidator(model=model, examples=examples, **settings.infra_validator_settings())
    return InfraGate(model=model, sample=sample, **settings.infra_gate_settings(config, run_id))


def _score_new_data(config: PipelineConfig, data: Data, served: Path) -> list[BaseNode]:
    """Returns the nodes that compute a few metrics of the model that is served now."""
    model = _import_model(served, "Served")
    score = NewDataScore(examples=data.examples, schema=data.schema, model=model.outputs["result"], **settings.new_data_settings(config))
    score.add_upstream_nodes(data.gates)
    return [model, score]


def _import_model(folder: Path, name: str) -> Importer:
    """Returns a node that makes a served model a Model artifact, in the folder layout of this TFX version."""
    properties = {ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY: tfx_version}
    return Importer(source_uri=str(folder), artifact_type=standard_artifacts.Model, custom_properties=properties).with_id(name)
