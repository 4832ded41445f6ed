"""Exports our model as `din run` does, with vocabularies of given sizes and random weights.

Arguments: a folder, and as JSON the lengths of the histories and the sizes of the vocabularies. It writes a SavedModel for each length:
`<folder>/<length>/`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def impressions_of_all_ids(sizes: dict[str, int]) -> list[dict[str, Any]]:
    """Returns impressions in which each id of the vocabularies, from 0, occurs at least once."""
    return [
        {
            "user_id": number % sizes["user"],
            "candidate_item_id": number % sizes["item"],
            "candidate_category_id": number % sizes["category"],
            "label": number % 2,
        }
        for number in range(max(sizes.values()))
    ]


def main(folder: Path, lengths: list[int], sizes: dict[str, int]) -> None:
    """Writes an export for each length of history."""
    from benchmarks.exports.transform_analysis import analyse, randomise
    from din_trainer.config import DINConfig, ModelConfig
    from din_trainer.export.signatures import export
    from din_trainer.features import FeatureConfig
    from din_trainer.models.make_model import make_model
    from din_trainer.training.initial_tables import vocabulary_sizes

    for length in lengths:
        config = DINConfig(features=FeatureConfig(history_length=length), model=ModelConfig(interactions="none"))  # the peers' model
        with tempfile.TemporaryDirectory(prefix="din-bench-") as transform_graph:
            transform_output = analyse(impressions_of_all_ids(sizes), config.features, Path(transform_graph))
            model = make_model(config, vocabulary_sizes(config.features.vocabularies, transform_output))
            randomise(model)
            export(model, transform_output, str(folder / str(length)))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]))
