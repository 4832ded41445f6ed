"""The first nodes of the DAG: they read the impressions and check them, split by split, or span by span."""

from typing import NamedTuple

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types.channel import BaseChannel, Channel, union

from components.base.fingerprint import source_fingerprint
from components.base.shards import SPAN_SPLIT
from components.data_gate import DataGate
from components.import_example_gen import ImportExampleGen
from components.join_lookups import JoinLookups
from components.statistics_gen import StatisticsGen
from components.window import Window
from pipeline.configuration import node_settings as settings
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.drift_nodes import Compared, drift_nodes
from pipeline.places import Places
from pipeline.runners.beam_options import add_fingerprint


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


def read_data(config: PipelineConfig, places: Places) -> Data:
    """Returns the nodes that read and check the impressions, and what comes out of them."""
    # Brings in the schema, because every later node relies on the types and shapes that it gives the features.
    schema_gen = ImportSchemaGen(schema_file=str(places.schema))
    schema = schema_gen.outputs["schema"]

    # Reads the spans one by one, because what was read and found in an old span is in the cache.
    if places.spans:
        return _read_spans(config, places, schema_gen)

    # Reads the impressions split by split, because what a model is judged on must never be mixed with what it learns from.
    example_gen = ImportExampleGen(**settings.example_gen_settings(places.data))
    add_fingerprint(example_gen, ImportExampleGen)
    attributes = _join_attributes(config, example_gen, schema)
    examples = _examples_of([example_gen, *attributes])
    checks = _check_examples(config, example_gen, examples, schema, places.checked)
    compare = drift_nodes(config, places, schema, [Compared("train/", checks[0].outputs["statistics"], "train")], checks[-1:])
    return Data([example_gen, schema_gen, *attributes, *checks, *compare], [checks[-1], compare[-1]], schema, examples, examples, "train")


def _read_spans(config: PipelineConfig, places: Places, schema_gen: ImportSchemaGen) -> Data:
    schema, nodes = schema_gen.outputs["schema"], list[BaseNode]([schema_gen])
    gates, spans, statistics = list[BaseNode](), list[Channel](), list[Compared]()
    for span, checked in zip(places.spans, places.checked.splitlines(), strict=True):
        # Reads one span, whatever splits it has of its own, because the window decides what is learnt from.
        example_gen = ImportExampleGen(**settings.span_settings(places.data, span)).with_id(f"ImportExampleGen.{span.name}")
        add_fingerprint(example_gen, ImportExampleGen)
        attributes = _join_attributes(config, example_gen, schema, span.name)
        examples = _examples_of([example_gen, *attributes])
        checks = _check_examples(config, example_gen, examples, schema, checked, span.name)
        nodes, gates = [*nodes, example_gen, *attributes, *checks], [*gates, checks[-1]]
        spans.append(examples)
        statistics.append(Compared(span.name, checks[0].outputs["statistics"], SPAN_SPLIT))
    compare = drift_nodes(config, places, schema, statistics, gates)
    gates.append(compare[-1])

    # Links the spans as splits: the newest one to be judged on, those before it to learn from.
    window = Window(spans=union(spans), **settings.window_settings(config, places.spans))
    window.add_upstream_nodes(gates)
    examples = window.outputs["examples"]
    counted = (union(spans[:-1]), SPAN_SPLIT) if len(spans) > 1 else (examples, "train")  # span by span: old ones are in a cache
    return Data([*nodes, *compare, window], gates, schema, examples, *counted)


def _join_attributes(config: PipelineConfig, example_gen: BaseNode, schema: Channel, span: str = "") -> list[BaseNode]:
    if not config.features.lookups:
        return []
    # Adds the attributes that tables have, because statistics, validation and slices should see them as any other feature.
    join = JoinLookups(examples=example_gen.outputs["examples"], schema=schema, **settings.join_settings(config))
    return [join.with_id(f"{join.id}.{span}" if span else join.id)]


def _examples_of(nodes: list[BaseNode]) -> Channel:
    """The examples that the last of the nodes puts out."""
    return next(iter(nodes[-1].outputs.values()))


def _check_examples(
    config: PipelineConfig, example_gen: ImportExampleGen, examples: Channel, schema: Channel, checked: str, span: str = ""
) -> list[BaseNode]:
    suffix = f".{span}" if span else ""

    # Computes statistics of each feature, because problems of the data show there before anything is trained.
    statistics_gen = StatisticsGen(examples=examples, schema=schema, **settings.statistics_settings(config))
    add_fingerprint(statistics_gen, StatisticsGen)
    statistics = statistics_gen.outputs["statistics"]

    # Compares the statistics with the schema, because a model cannot handle missing features, wrong types or negative ids.
    example_validator = ExampleValidator(statistics=statistics, schema=schema)

    # Stops the run if the data has changed or has anomalies, because ExampleGen and ExampleValidator do not.
    data_gate = DataGate(
        examples=example_gen.outputs["examples"],
        anomalies=example_validator.outputs["anomalies"],
        checked=checked,
        span=span,
        source_fingerprint=source_fingerprint(DataGate),
    )
    return [node.with_id(f"{node.id}{suffix}") for node in (statistics_gen, example_validator, data_gate)]
