"""How much work a run has: impressions, values, steps and products, from the configuration and the size of the data.

Costs are measured in these units, so that they can be told for other sizes, histories, features and layers than those that were measured.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from din_trainer.features import HISTORICAL_TIMESTAMPS, LABEL, REQUEST_ID, TIMESTAMP
from din_trainer.kinds import Tags
from din_trainer.models.mlp_inputs import mlp_inputs
from pipeline.configuration.pipeline_config import PipelineConfig

Amounts = dict[str, float]  # by unit

TRAIN, VALIDATION, EVAL = 0.8, 0.1, 0.1  # shares of the impressions, as `din synth` and most imports make them
_SCORES = 200_000  # FeatureImportance scores no more impressions, over all features
_IDS = {"user_id": 100}  # impressions for each id of a table
_OTHER_IDS = 1_000


class Workload(NamedTuple):
    """What a run reads and trains.

    Attributes:
        config: The configuration of the run.
        impressions: Of all splits.
        history: Events in a history, on average, as many as the model reads of it.
        rows: The rows of each embedding table.
    """

    config: PipelineConfig
    impressions: int
    history: float
    rows: dict[str, int]

    @property
    def values(self) -> float:
        """The values of an impression in the data: those of the features, and what an import adds. Tags are full."""
        features = self.config.features
        columns = {column.name: column for column in (*features.columns, *features.kept_columns)}
        tags = [p for p in features.placed if isinstance(p.feature, Tags)]
        lists = {name: p.feature.most for p in tags for name in (p.name, p.feature.weights)}
        widths = {name: lists.get(name, column.width or 1) for name, column in columns.items()}
        widths |= dict.fromkeys((LABEL, TIMESTAMP, REQUEST_ID, HISTORICAL_TIMESTAMPS), 1)
        events = {HISTORICAL_TIMESTAMPS, *(name for name, column in columns.items() if column.presence == "sequence")}
        return sum(width * (self.history if name in events else 1) for name, width in widths.items())

    @property
    def epoch(self) -> Amounts:
        """An epoch of training, with the validation and the checkpoint after it."""
        train = TRAIN * self.impressions
        floats, products = _arithmetic(self.config, self.history)
        steps = math.ceil(train / self.config.training.batch_size)
        amounts = {"steps": steps, "impressions": train, "floats": train * floats, "products": train * products}
        return {"epochs": 1.0, **amounts, "saved": self.table_floats}

    @property
    def packed_mb(self) -> float:
        """The training and validation impressions in memory: an int32 for each value, with histories at their full length.

        A long history is not padded.
        """
        features = self.config.features
        full = self if features.long_history_length else self._replace(history=features.history_length)
        return full.values * 4 * (TRAIN + VALIDATION) * self.impressions / 1e6

    @property
    def in_memory(self) -> bool:
        """Whether training reads the impressions once; otherwise each epoch reads them."""
        return self.packed_mb <= self.config.training.memory_mb

    @property
    def table_floats(self) -> int:
        """The numbers in all embedding tables: rows times dim."""
        return sum(self.rows[name] * table.dim for name, table in self.config.features.tables.items())

    @property
    def split_floats(self) -> int:
        """Those of them that `training.split_rows` splits over the workers."""
        least = self.config.training.split_rows
        tables = self.config.features.tables.items()
        return sum(self.rows[name] * table.dim for name, table in tables if least is not None and self.rows[name] >= least)

    @property
    def drawn(self) -> float:
        """The impressions that FeatureImportance scores again and again."""
        most = _SCORES / (1 + len(self.config.features.columns))
        return min(EVAL * self.impressions, self.config.evaluation.importance.impressions, most)

    def read(self, share: float) -> Amounts:
        """A share of the impressions, read once."""
        impressions = share * self.impressions
        return {"impressions": impressions, "values": impressions * self.values}


def table_rows(config: PipelineConfig, impressions: int, given: dict[str, int]) -> dict[str, int]:
    """The rows of each embedding table: as given, as the configuration fixes them, or guessed from the number of impressions."""
    guessed = {name: max(impressions // _IDS.get(name, _OTHER_IDS), 1) for name in config.features.tables}
    fixed = {name: table.rows for name, table in config.features.tables.items() if table.rows}
    return {**guessed, **fixed, **given}


def _arithmetic(config: PipelineConfig, history: float) -> tuple[float, float]:
    """The embedded floats, and the products of dense layers, of an impression: 2 · history of the first where a history has 2 fields.

    The attention of DIN multiplies [k, q ⊙ k] of each event, and q once (`AttentionUnit.first_layer`). Of a long history, it reads the
    recent events and the chosen ones; the search itself is not counted.
    """
    features, model = config.features, config.model
    if features.long_history_length:
        history = min(history, features.history_length) + model.long_history.events
    inputs = mlp_inputs(features, model.history)
    read = mlp_inputs(features, model.history, model.interactions_read)
    of_events = {column.name for columns in features.aligned_columns.values() for column in columns}
    floats = sum(x.width * (history if x.name in of_events else 1) for x in inputs)
    sizes = [sum(x.width for x in read), *model.hidden, 1]
    products: float = _chain(sizes)
    if model.history and model.kind == "din":
        for behaviours in features.sequences.values():
            dim = sum(features.vocabulary_of(name).dim for name in behaviours)
            products += dim * model.attention_hidden[0] + history * _chain([2 * dim, *model.attention_hidden, 1])
    return floats, products


def _chain(sizes: Sequence[int]) -> int:
    return sum(first * second for first, second in pairwise(sizes))
