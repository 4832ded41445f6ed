"""Configuration of the model and its training. Each default stands here and nowhere else."""

from typing import Literal

from pydantic import Field

from din_trainer.features import FeatureConfig, Frozen

# Keys of TFX's custom_config under which the pipeline hands over JSON.
FEATURES_KEY = "features"  # to Transform: a FeatureConfig, so that other settings do not touch its cache
CONFIG_KEY = "din"  # to Trainer: a DINConfig


class ModelConfig(Frozen):
    """The network; sizes are those of the notebook that this project grew from."""

    pooling: Literal["attention", "mean", "none"] = Field(
        "attention", description="attention: DIN; mean: the average of the history; none: no history at all."
    )
    attention_hidden: tuple[int, ...] = (80, 40)
    hidden: tuple[int, ...] = (128, 64, 32)
    activation: Literal["dice", "relu"] = "dice"
    dropout: float = Field(0.1, ge=0, lt=1)


class TrainingConfig(Frozen):
    """How the network is trained."""

    batch_size: int = Field(256, ge=1)
    epochs: int = Field(5, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    patience: int = Field(1, ge=0, description="Epochs without a better validation AUC after which training stops.")
    seed: int = 0
    deterministic: bool = Field(False, description="Bit-equal weights from one seed, at some cost in speed.")


class DINConfig(Frozen):
    """All that `din_trainer` needs to know."""

    features: FeatureConfig = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
