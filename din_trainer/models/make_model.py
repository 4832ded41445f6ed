"""Makes the model that `model.kind` of the configuration names."""

from din_trainer.config import DINConfig
from din_trainer.models.base import Base
from din_trainer.models.base_models import PNN, DeepFM, LogisticRegression, WideDeep
from din_trainer.models.bst import BST
from din_trainer.models.dcn import DCN
from din_trainer.models.din import DIN
from din_trainer.models.ranking_model import RankingModel
from din_trainer.models.vocabularies import Vocabularies

MODELS: dict[str, type[RankingModel]] = {
    "lr": LogisticRegression,
    "base": Base,
    "wide_deep": WideDeep,
    "pnn": PNN,
    "deepfm": DeepFM,
    "dcn": DCN,
    "bst": BST,
    "din": DIN,
}


def make_model(config: DINConfig, vocabularies: dict[str, int] | Vocabularies) -> RankingModel:
    """Returns the model that `config.model.kind` names, with all its weights made.

    Args:
        config: The model.
        vocabularies: Embedding rows by vocabulary name, for a model that reads ids; or `Vocabularies`, for one that reads raw values.

    Raises:
        ValueError: A vocabulary of the configuration has no size.
    """
    kind = MODELS[config.model.kind]
    model = kind(config, vocabularies.sizes(), vocabularies) if isinstance(vocabularies, Vocabularies) else kind(config, vocabularies)
    model.build()
    return model
