"""Configuration of the model and its training. Each default stands here and nowhere else."""

from typing import Literal

from pydantic import Field, PositiveInt

from din_trainer.features import FeatureConfig, Frozen

# Keys of TFX's custom_config under which the pipeline hands over JSON.
FEATURES_KEY = "features"  # to Transform: a FeatureConfig, so that other settings do not touch its cache
CONFIG_KEY = "din"  # to Trainer: a DINConfig
SOURCE_KEY = "source_fingerprint"  # to both: changes with the code, so that no cached output outlives it

ORIGIN_FILE = "assets.extra/din.json"  # in the SavedModel: the DINConfig (`config`) and the source fingerprint (`source`) that made it


class ModelConfig(Frozen):
    """The network; sizes are those of the notebook that this project grew from."""

    pooling: Literal["attention", "mean", "none"] = Field(
        "attention", description="attention: DIN; mean: the average of the history; none: no history at all."
    )
    attention_hidden: tuple[PositiveInt, ...] = (80, 40)
    hidden: tuple[PositiveInt, ...] = (128, 64, 32)
    activation: Literal["dice", "relu"] = "dice"
    dropout: float = Field(0.1, ge=0, lt=1)


class TrainingConfig(Frozen):
    """How the network is trained."""

    batch_size: int = Field(256, ge=1)
    epochs: int = Field(5, ge=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    patience: int = Field(1, ge=0, description="Epochs without a better validation AUC after which training stops.")
    seed: int = Field(0, ge=0, lt=2**32)
    deterministic: bool = Field(False, description="Bit-equal weights from one seed, at some cost in speed.")


class DINConfig(Frozen):
    """All that `din_trainer` needs to know."""

    features: FeatureConfig = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
