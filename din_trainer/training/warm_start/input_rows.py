"""What each row of a model's weights reads: by these names a warm start finds the rows again in a network that has changed.

A kernel that reads several inputs side by side has a name for each of its rows, such as `candidate_item_id/16:3`: the fourth number of an
embedding of size 16. All other weights are known by their place in the model alone.
"""

from itertools import combinations
from typing import Any, NamedTuple

from din_trainer.models.base_models import PNN
from din_trainer.models.ranking_model import RankingModel


class Weight(NamedTuple):
    """A weight of a model, except its embedding tables.

    Attributes:
        variable: The weight.
        rows: What each row reads; empty if the inputs are the outputs of another layer.
    """

    variable: Any
    rows: list[str]


def _block(name: str, size: int) -> list[str]:
    return [f"{name}/{size}:{i}" for i in range(size)]


def _blocks(sizes: dict[str, int]) -> list[str]:
    return [row for name, size in sizes.items() for row in _block(name, size)]


def _fields(model: RankingModel) -> dict[str, int]:
    """The size of each embedded field, in the order of `RankingModel.field_sizes`."""
    features = model.din_config.features
    candidates = [behaviour.candidate for behaviour in features.behaviours.values()]
    histories = [behaviour.history for behaviours in model.sequences.values() for behaviour in behaviours.values()]
    side = [name for name, feature in features.side.items() if feature.kind == "categorical"]
    return dict(zip([*dict.fromkeys(candidates), *histories, *side], model.field_sizes(), strict=True))


def _named_rows(model: RankingModel) -> dict[str, list[str]]:
    """The rows of the kernels that read inputs of the model, by the place of the kernel."""
    features = model.din_config.features
    fields = _fields(model)
    numbers = [name for name, feature in features.side.items() if feature.kind == "numeric"]
    products = [f"{a} x {b}" for a, b in combinations(fields, 2)] if isinstance(model, PNN) else []
    first = "mlp/dense_0/kernel" if model.din_config.model.hidden else "mlp/logit/kernel"
    rows = {first: [*_blocks(fields), *numbers, *products], "linear/number_weights": numbers}
    histories = {b.history: features.vocabulary_of(name).dim for behaviours in model.sequences.values() for name, b in behaviours.items()}
    rows["product/kernel"] = _blocks(histories)
    for number, (sequence, behaviours) in enumerate(model.sequences.items()):
        sizes = {b.history: features.vocabulary_of(name).dim for name, b in behaviours.items()}
        parts = [f"{part} {row}" for part in ("query", "key", "difference", "product") for row in _blocks(sizes)]
        rows[f"attention_{sequence}/kernel"] = parts + ["time gap"] * (number == 0 and features.time_gap)
    return rows


def weights_by_place(model: RankingModel) -> dict[str, Weight]:
    """Returns all weights of a model except its embedding tables, by their place in it, such as `mlp/dense_0/kernel`."""
    tables = {id(weight) for name in model.din_config.features.vocabularies for table in model.tables_of(name) for weight in table.weights}
    rows, fields = _named_rows(model), list(_fields(model))
    result = {}
    for variable in model.weights:
        if id(variable) not in tables:
            place = variable.path.partition("/")[2]
            layer, _, rest = place.partition("/field_")  # a projection is known by the field that it reads
            number, slash, name = rest.partition("/")
            result[f"{layer}/{fields[int(number)]}/{name}" if slash else place] = Weight(variable, rows.get(place, []))
    return result
