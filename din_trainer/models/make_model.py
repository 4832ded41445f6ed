"""Makes the model that `model.kind` of the configuration names."""

from din_trainer.config import DINConfig
from din_trainer.models.base_models import PNN, Base, DeepFM, LogisticRegression, WideDeep
from din_trainer.models.din import DIN
from din_trainer.models.ranking_model import RankingModel

MODELS: dict[str, type[RankingModel]] = {
    "lr": LogisticRegression,
    "base": Base,
    "wide_deep": WideDeep,
    "pnn": PNN,
    "deepfm": DeepFM,
    "din": DIN,
}


def make_model(config: DINConfig, vocabulary_sizes: dict[str, int]) -> RankingModel:
    """Returns the model that `config.model.kind` names, with all its weights made.

    Raises:
        ValueError: A vocabulary of the configuration has no size.
    """
    model = MODELS[config.model.kind](config, vocabulary_sizes)
    model.build()
    return model
