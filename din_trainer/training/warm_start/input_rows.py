"""What each row of a model's weights reads: by these names a warm start finds the rows again in a network that has changed.

A kernel that reads several inputs side by side has a name for each of its rows, such as `candidate_item_id/16:3`: the fourth number of an
embedding of size 16. All other weights are known by their place in the model alone. With several labels, the place of a weight that has a
column for each of them names them.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import Any, NamedTuple

from din_trainer.features import LONG_HISTORY
from din_trainer.models.base_models import PNN
from din_trainer.models.linear import numbers_read
from din_trainer.models.ranking_model import RankingModel

_OF_EACH_LABEL = ("linear/number_weights", "linear/bias", "product/kernel", "products/kernel", "cross_logit/kernel")


class Weight(NamedTuple):
    """A weight of a model, except its embedding tables.

    Attributes:
        variable: The weight.
        rows: What each row reads; empty if the inputs are the outputs of another layer.
        columns: What each column belongs to, if it is an input of the model as well.
    """

    variable: Any
    rows: list[str]
    columns: list[str]


def _block(name: str, size: int) -> list[str]:
    return [f"{name}/{size}:{i}" for i in range(size)]


def _blocks(sizes: dict[str, int]) -> list[str]:
    return [row for name, size in sizes.items() for row in _block(name, size)]


def _read_by_mlp(model: RankingModel) -> list[str]:
    """What each number of the MLP's inputs is. A single number has the name of its feature alone."""
    return [row for x in model.mlp_inputs for row in ([x.name] if x.width == 1 and not x.is_embedded else _block(x.name, x.width))]


def _named_rows(model: RankingModel) -> dict[str, list[str]]:
    """The rows of the kernels that read inputs of the model, by the place of the kernel."""
    inputs = _read_by_mlp(model)
    fields = [x.name for x in model.mlp_inputs if x.is_embedded]
    products = [f"{a} x {b}" for a, b in combinations(fields, 2)] if isinstance(model, PNN) else []
    rows = {_place(kernel): [*inputs, *products] for kernel in model.input_kernels()}
    rows |= {"linear/number_weights": _blocks(numbers_read(model.din_config.features, model.embedder)), "cross_logit/kernel": inputs}
    keys = {sequence: _blocks(_widths(model, [b.history for b in behaviours.values()])) for sequence, behaviours in model.sequences.items()}
    rows["product/kernel"] = [row for block in keys.values() for row in block]
    for sequence, key in keys.items():
        parts = [f"{part} {row}" for part in ("query", "key", "difference", "product") for row in key]
        rows[f"attention_{sequence}/kernel"] = parts + _blocks(_widths(model, model.embedder.event_fields[sequence]))
    rows[f"attention_{LONG_HISTORY}/kernel"] = rows.get(f"attention_{model.din_config.features.searched}/kernel", [])
    return rows


def _widths(model: RankingModel, names: Iterable[str]) -> dict[str, int]:
    width_by_name = {x.name: x.width for x in model.mlp_inputs}
    return {name: width_by_name[name] for name in names}


def _place(variable: Any) -> str:
    """The place of a weight in the model, such as `mlp/dense_0/kernel`."""
    place: str = variable.path.partition("/")[2]
    return place


def _transformers(model: RankingModel) -> dict[str, str]:
    """What a warm start calls each Transformer block: it can be taken over only whole, so its name says what it reads."""
    events = {s: [*(b.history for b in behaviours.values()), *model.embedder.event_fields[s]] for s, behaviours in model.sequences.items()}
    reads = {s: ", ".join(f"{name}/{width}" for name, width in _widths(model, names).items()) for s, names in events.items()}
    return {f"transformer_{sequence}": f"transformer_{sequence} of {read}" for sequence, read in reads.items()}


def weights_by_place(model: RankingModel) -> dict[str, Weight]:
    """Returns all weights of a model except its embedding tables, by their place in it, such as `mlp/dense_0/kernel`."""
    tables = {id(weight) for name in model.din_config.features.tables for table in model.tables_of(name) for weight in table.weights}
    rows, fields = _named_rows(model), [x.name for x in model.mlp_inputs if x.is_embedded]
    transformers, inputs = _transformers(model), _read_by_mlp(model)
    of_labels = f" of {', '.join(model.labels)}" if len(model.labels) > 1 else ""
    result = {}
    for variable in model.weights:
        if id(variable) in tables:
            continue
        place = _place(variable)
        layer, _, rest = place.partition("/")
        if layer in transformers:
            positions = [f"{i} events back" for i in range(variable.shape[0])] if rest == "positions" else []
            result[f"{transformers[layer]}/{rest}"] = Weight(variable, positions, [])
        elif layer == "cross_network":
            result[place] = Weight(variable, inputs, inputs if rest.endswith("kernel") else [])
        else:
            layer, _, rest = place.partition("/field_")  # a projection is known by the field that it reads
            number, slash, name = rest.partition("/")
            shown = f"{layer}/{fields[int(number)]}/{name}" if slash else place
            shown += of_labels * (place in _OF_EACH_LABEL)
            result[shown] = Weight(variable, rows.get(place, []), [])
    return result
