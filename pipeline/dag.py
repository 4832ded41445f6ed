"""The DAG of the pipeline: its nodes and what flows between them, in the order of the README's picture.

The settings of each node are in `pipeline/configuration/node_settings.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.infra_validator.component import InfraValidator
from tfx.components.pusher.component import Pusher
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel, union
from tfx.types.standard_artifact_utils import ARTIFACT_TFX_VERSION_CUSTOM_PROPERTY_KEY
from tfx.version import __version__ as tfx_version

from components.base.fingerprint import source_fingerprint
from components.base.shards import SPAN_SPLIT
from components.data_gate import DataGate
from components.evaluator import Evaluator
from components.import_example_gen import ImportExampleGen
from components.infra_gate import InfraGate
from components.new_data_score import NewDataScore
from components.sameness import Sameness
from components.slice_columns import SliceColumns
from components.statistics_gen import StatisticsGen
from components.transform import Transform
from components.user_bootstrap import UserBootstrap
from components.verdict import Verdict
from components.window import Window
from pipeline.configuration import node_settings as settings
from pipeline.configuration.eval_config import METRICS_MODULE
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.configuration.start_model import Start
from pipeline.datasets.spans import Span
from pipeline.drift_nodes import Compared, LoggedRequests, PreviousData, drift_nodes, import_previous
from pipeline.records.store_place import connection_config
from pipeline.runners import beam_options


class Places(NamedTuple):
    """What the DAG of one run needs to know beside the configuration.

    Attributes:
        data: Folder in the layout of `pipeline.datasets.layout`.
        schema: The schema (.pbtxt).
        artifacts: TFX's pipeline root.
        metadata: SQLite file of the metadata store; `pipeline.records.store_place` says when a database has it instead.
        checkpoints: Folder for the state of a training that was interrupted.
        serving: Folder of the served versions of this name.
        baseline: Folder that holds the baseline as TFX lays models out; None if there is none.
        stable: The version that was labelled stable when the run started; None if there was none. A push replaces this version or nothing.
        requests: Whether the data has request ids, so that metrics within requests can be computed.
        checked: The fingerprint of the data that was checked, a line for each split, or for each span: the data gate refuses other data.
            Empty: nothing is compared.
        analyses: Folder with what was counted in spans by earlier runs.
        spans: The spans of `data` that are read, oldest first; empty: the data has splits.
        served: Folder that holds the model that is served now, to be scored on the newest span; None in a run without spans.
        previous: Earlier training data that the data is compared with; None if there is none. A span is compared with the span before it.
        logged: A log of requests that the data is compared with; None if none was named.
        start: The model whose weights the training begins with; None for random weights.
    """

    data: Path
    schema: Path
    artifacts: Path
    metadata: Path
    checkpoints: Path
    serving: Path
    baseline: Path | None
    stable: int | None = None
    requests: bool = False
    checked: str = ""
    analyses: Path | None = None
    spans: tuple[Span, ...] = ()
    served: Path | None = None
    previous: PreviousData | None = None
    logged: LoggedRequests | None = None
    start: Start | None = None


class Data(NamedTuple):
    """The impressions, read and checked.

    Attributes:
        nodes: The nodes that read and check them.
        gates: Those of them that stop the run if the data is bad. What learns or judges waits for them.
        schema: The schema of the impressions.
        examples: The impressions in the splits train, validation and eval.
        counted: The impressions whose values are counted for the vocabularies: those to learn from.
        counted_split: Their split.
    """

    nodes: list[BaseNode]
    gates: list[BaseNode]
    schema: Channel
    examples: Channel
    counted: BaseChannel
    counted_split: str


def _read_data(config: PipelineConfig, places: Places) -> Data:
    # Brings in the schema, because every later node relies on the types and shapes that it gives the features.
    schema_gen = ImportSchemaGen(schema_file=str(places.schema))
    schema = schema_gen.outputs["schema"]

    # Reads the spans one by one, because what was read and found in an old span is in the cache.
    if places.spans:
        return _read_spans(config, places, schema_gen)

    # Reads the impressions split by split, because what a model is judged on must never be mixed with what it learns from.
    example_gen = ImportExampleGen(**settings.example_gen_settings(places.data)).with_beam_pipeline_args(_beam(ImportExampleGen))
    examples = example_gen.outputs["examples"]
    checks = _check_examples(config, example_gen, schema, places.checked)
    compare = _compare(config, places, schema, [Compared("train/", checks[0].outputs["statistics"], "train")], checks[-1:])
    return Data([example_gen, schema_gen, *checks, *compare], [checks[-1], compare[-1]], schema, examples, examples, "train")


def _read_spans(config: PipelineConfig, places: Places, schema_gen: ImportSchemaGen) -> Data:
    schema, nodes = schema_gen.outputs["schema"], list[BaseNode]([schema_gen])
    gates, spans, statistics = list[BaseNode](), list[Channel](), list[Compared]()
    for span, checked in zip(places.spans, places.checked.splitlines(), strict=True):
        # Reads one span, whatever splits it has of its own, because the window decides what is learnt from.
        example_gen = ImportExampleGen(**settings.span_settings(places.data, span)).with_id(f"ImportExampleGen.{span.name}")
        example_gen.with_beam_pipeline_args(_beam(ImportExampleGen))
        checks = _check_examples(config, example_gen, schema, checked, span.name)
        nodes, gates = [*nodes, example_gen, *checks], [*gates, checks[-1]]
        spans.append(example_gen.outputs["examples"])
        statistics.append(Compared(span.name, checks[0].outputs["statistics"], SPAN_SPLIT))
    compare = _compare(config, places, schema, statistics, gates)
    gates.append(compare[-1])

    # Links the spans as splits: the newest one to be judged on, those before it to learn from.
    window = Window(spans=union(spans), **settings.window_settings(config, places.spans))
    window.add_upstream_nodes(gates)
    examples = window.outputs["examples"]
    counted = (union(spans[:-1]), SPAN_SPLIT) if len(spans) > 1 else (examples, "train")  # span by span: old ones are in a cache
    return Data([*nodes, *compare, window], gates, schema, examples, *counted)


def _compare(
    config: PipelineConfig, places: Places, schema: Channel, data: Sequence[Compared], gates: Sequence[BaseNode]
) -> list[BaseNode]:
    """Returns the nodes that compare the newest data with the data before it, and with logged requests. The last one stops the run."""
    *_, previous = [None, *data[:-1]]
    imported: list[BaseNode] = []
    if previous is None and places.previous:
        node, previous = import_previous(places.previous)
        imported = [node]
    return [*imported, *drift_nodes(config, schema, data[-1], previous, places.logged, gates)]


def _check_examples(config: PipelineConfig, example_gen: ImportExampleGen, schema: Channel, checked: str, span: str = "") -> list[BaseNode]:
    examples, suffix = example_gen.outputs["examples"], f".{span}" if span else ""

    # Computes statistics of each feature, because problems of the data show there before anything is trained.
    statistics_gen = StatisticsGen(examples=examples, schema=schema, **settings.statistics_settings(config))
    statistics_gen.with_beam_pipeline_args(_beam(StatisticsGen))
    statistics = statistics_gen.outputs["statistics"]

    # Compares the statistics with the schema, because a model cannot handle missing features, wrong types or negative ids.
    example_validator = ExampleValidator(statistics=statistics, schema=schema)

    # Stops the run if the data has changed or has anomalies, because ExampleGen and ExampleValidator do not.
    data_gate = DataGate(
        examples=examples,
        anomalies=example_validator.outputs["anomalies"],
        checked=checked,
        span=span,
        source_fingerprint=source_fingerprint(DataGate),
    )
    return [node.with_id(f"{node.id}{suffix}") for node in (statistics_gen, example_validator, data_gate)]


def _transform(config: PipelineConfig, places: Places, data: Data) -> Transform:
    # Learns vocabularies and scales from train/ and puts them into a graph, so that serving transforms features as training does.
    cache = places.analyses if data.counted_split == SPAN_SPLIT else None
    counting = settings.transform_settings(config, data.counted_split, cache, places.start)
    transform = Transform(examples=data.counted, schema=data.schema, **counting)
    transform.add_upstream_nodes(data.gates)
    return transform


def create_pipeline(config: PipelineConfig, places: Places, run_id: str) -> Pipeline:
    """Makes the whole pipeline, from the impressions to the served version.

    Args:
        config: The configuration.
        places: The paths that the nodes read and write, and the version that is stable now.
        run_id: Keeps the nodes that measure or push out of TFX's cache.

    Returns:
        The pipeline, for any runner.
    """
    data = _read_data(config, places)
    examples, schema = data.examples, data.schema

    transform = _transform(config, places, data)
    transform_graph = transform.outputs["transform_graph"]

    # Trains the model and exports the epoch that is best on validation/, because eval/ must stay unseen until the model is judged.
    trainer = Trainer(
        examples=examples,
        transform_graph=transform_graph,
        schema=schema,
        **settings.trainer_settings(config, places.checkpoints, places.start),
    )
    model = trainer.outputs["model"]

    # Adds a history's length, a user's activity and an item's popularity, because slices by them show which users a model fails.
    slice_columns = SliceColumns(examples=examples, schema=schema, **settings.slice_columns_settings(config))
    slice_columns.add_upstream_nodes(data.gates)
    sliced, sliced_schema = slice_columns.outputs["sliced_examples"], slice_columns.outputs["sliced_schema"]

    # Brings in the baseline, by default the model that is served now, so that both are judged on the same examples.
    baseline = [_import_model(places.baseline, "Baseline")] if places.baseline else []
    compared = {"baseline_model": baseline[0].outputs["result"]} if baseline else {}

    # Scores the newest span with the model that is served now, before the training, because this shows how it does on new data.
    served = _score_new_data(config, data, places.served) if places.served else []
    trainer.add_upstream_nodes(served)

    # Computes each metric on each slice through the served signature, because this is the model that users meet.
    evaluator = Evaluator(
        examples=sliced, schema=sliced_schema, model=model, **compared, **settings.evaluator_settings(config, places.requests)
    ).with_beam_pipeline_args(_beam(Evaluator, settings.EXTRACTORS_MODULE, METRICS_MODULE))

    # Adds confidence intervals, by drawing users of eval/ again and again, because a small difference can be chance.
    user_bootstrap = UserBootstrap(
        examples=sliced, schema=sliced_schema, model=model, **compared, **settings.user_bootstrap_settings(config, places.requests)
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

    gates = [evaluator, user_bootstrap, sameness, loading_gate, verdict]
    return _pipeline(config, places, [*data.nodes, transform, *served, trainer, slice_columns, *baseline, *gates, pusher])


def create_data_pipeline(config: PipelineConfig, places: Places) -> Pipeline:
    """Makes the pipeline up to Transform, for benchmarks that train other models on its output."""
    data = _read_data(config, places)
    return _pipeline(config, places, [*data.nodes, _transform(config, places, data)])


def _pipeline(config: PipelineConfig, places: Places, nodes: Sequence[BaseNode]) -> Pipeline:
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(places.artifacts),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=connection_config(places.metadata),
        beam_pipeline_args=beam_options.local_options(),
    )


def _beam(*sources: Any) -> list[str]:
    """Beam's options for a node that has no other argument for the fingerprint of its code. They are part of the cache key."""
    return [*beam_options.local_options(), f"--source_fingerprint={source_fingerprint(*sources)}"]


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
