"""The configuration of the model and its training. Every default is written here and nowhere else."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from din_trainer.features import FeatureConfig
from din_trainer.frozen import Frozen

# Keys of TFX's custom_config, under which the pipeline passes JSON.
FEATURES_KEY = "features"  # to Transform: a FeatureConfig alone, so that other settings do not change its cache key
CONFIG_KEY = "din"  # to Tuner and Trainer: a DINConfig
SOURCE_KEY = "source_fingerprint"  # to all: changes with the code, so that edited code is not answered from the cache
COUNTS_KEY = "counts"  # to Transform: whether to write the counts of the vocabularies
FILES_KEY = "files"  # to Tuner and Trainer: changes with the files of initial embeddings and the tables of attributes
CHECKPOINTS_KEY = "checkpoints"  # to Tuner and Trainer: the folder from which a killed search or training continues
ANALYZER_CACHE_KEY = "analyzer_cache"  # to Transform: the folder with what was counted in earlier runs; none counts all anew
START_KEY = "start"  # to both, for a warm start: where the start model is, its fingerprint, and to Transform what it keeps

# In the SavedModel: its DINConfig (`config`), the source fingerprint (`source`) and the number of trained weights (`parameters`).
ORIGIN_FILE = "assets.extra/din.json"


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


NumberOrText = Annotated[str, BeforeValidator(_as_text)]  # a version may be given as a number

_WARM_START = r"^(none|served|[1-9][0-9]*|[0-9]{8}-[0-9]{6}-[a-z0-9][a-z0-9_-]*)$"

LayerSizes = tuple[Annotated[int, Field(ge=1, le=65_536)], ...]


class LongHistoryConfig(Frozen):
    """Which events of a long history the model reads, beside the most recent ones: `features.long_history_length` is its length."""

    search: Literal["none", "hard", "hash"] = Field(
        "none", description="hard: the most recent events of the candidate's category; hash: those whose SimHash is nearest to its own."
    )
    events: int = Field(20, ge=1, le=1_000, description="K, how many events are chosen for a candidate.")
    category: str = Field("category", min_length=1, max_length=100, description="The behaviour of the categories, for hard search.")
    bits: int = Field(16, ge=1, le=32, description="Bits of the hash of each behaviour, for hash search.")

    @model_validator(mode="after")
    def _check(self) -> "LongHistoryConfig":
        searches = {"events": ("hard", "hash"), "category": ("hard",), "bits": ("hash",)}
        for name, used_by in searches.items():
            if self.search not in used_by and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is for search = {' or '.join(map(repr, used_by))}, and search is {self.search!r}: leave it out")
        return self


class ModelConfig(Frozen):
    """The network. The default sizes are those of the notebook that this project started from."""

    kind: Literal["lr", "base", "wide_deep", "pnn", "deepfm", "dcn", "bst", "din"] = Field(
        "din", description="DIN, a base model of its paper, or DCN-v2 or BST."
    )
    history: bool = Field(True, description="False: the same model without behaviour sequences.")
    attention_hidden: LayerSizes = Field((80, 40), min_length=1, max_length=100)
    attention_softmax: bool = Field(False, description="Normalises the attention weights, which the paper advises against.")
    interactions: Literal["none", "sum", "inner", "elementwise", "mean_inner"] = Field(
        "mean_inner",
        description="What the MLP of `din` reads beside the paper's inputs: the pooled history, and products with it.",
    )
    long_history: LongHistoryConfig = Field(default_factory=LongHistoryConfig)
    cross_layers: int = Field(3, ge=1, le=100, description="Cross layers of `dcn`.")
    hidden: LayerSizes = Field((128, 64, 32), max_length=100)
    activation: Literal["dice", "prelu", "relu", "sigmoid"] = "dice"
    dropout: float = Field(0.1, ge=0, lt=1)
    embedding_scale: float = Field(0.05, gt=0, le=100, description="Embeddings start from random numbers between ± this.")
    towers: Literal["shared", "mmoe"] = Field(
        "shared", description="With several labels, what their towers read: the layers of `hidden`, or a mixture of experts for each label."
    )
    tower_hidden: LayerSizes = Field((32,), max_length=100, description="Hidden layers of each label's tower.")
    experts: int = Field(4, ge=1, le=1000, description="Experts of `mmoe`.")
    expert_hidden: LayerSizes = Field((64,), min_length=1, max_length=100, description="Layers of each expert of `mmoe`.")
    esmm: bool = Field(False, description="The probability of each further label is the first label's times that of its tower.")

    @property
    def interactions_read(self) -> str:
        """The interactions of this kind of model: other kinds than `din`, and models without histories, have none."""
        return self.interactions if self.kind == "din" and self.history else "none"

    @model_validator(mode="after")
    def _check_interactions(self) -> "ModelConfig":
        if self.interactions not in (type(self).model_fields["interactions"].default, self.interactions_read):
            model = f"kind = {self.kind!r}" if self.kind != "din" else "history = false"
            raise ValueError(
                f"interactions = {self.interactions!r} is for kind = 'din' with histories, and {model} ignores it: leave it out"
            )
        return self


class ScheduleConfig(Frozen):
    """How the learning rate changes during training, from `learning_rate` on."""

    kind: Literal["constant", "cosine", "exponential"] = Field(
        "constant", description="cosine: falls to 0; exponential: times `rate` every `steps`."
    )
    steps: int = Field(10_000, ge=1, le=10**9, description="Steps of the decay, after the warm-up.")
    rate: float = Field(0.1, gt=0, lt=1, description="Factor of the exponential decay.")
    warmup_steps: int = Field(0, ge=0, le=10**9, description="Steps in which the rate rises from 0 before the cosine decay.")

    @model_validator(mode="after")
    def _check(self) -> "ScheduleConfig":
        if self.warmup_steps and self.kind != "cosine":
            raise ValueError("warmup_steps belong to kind = 'cosine'")
        return self


class TrainingConfig(Frozen):
    """How the network is trained."""

    batch_size: int = Field(256, ge=1, le=10**6)
    epochs: int = Field(5, ge=1, le=10_000)
    optimizer: Literal["lazy_adam", "adam"] = Field("lazy_adam", description="adam: the textbook's; its cost grows with the tables.")
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32", description="mixed_bfloat16: training steps round the factors of matrix products to bfloat16, for cards."
    )
    learning_rate: float = Field(1e-3, gt=0, le=1)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    clip_norm: float | None = Field(None, gt=0, le=1e6, description="Largest norm of all gradients together; larger ones are scaled down.")
    regularization: float = Field(0.0, ge=0, le=1000, description="λ of the mini-batch aware regularisation.")
    negative_rate: float = Field(1.0, ge=1e-6, le=1, description="Share of the negatives used in training; probabilities stay calibrated.")
    label_weights: dict[str, Annotated[float, Field(gt=0, le=1e6, strict=True)]] = Field(
        default_factory=dict, description="Weights of the labels in the loss; 1 for those that are not named."
    )
    patience: int = Field(
        1, ge=0, le=10_000, description="Training stops after this many epochs without a better validation AUC; 0: never."
    )
    memory_mb: float = Field(
        4096.0, gt=0, le=10**7, description="A split up to this size is kept in memory; a larger one is read anew in each epoch."
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that train together; each takes its part of every batch.")
    split_rows: int | None = Field(
        None, ge=2, le=10**9, description="Tables with at least this many rows are split over the workers; each keeps its own rows only."
    )
    seed: int = Field(0, ge=0, lt=2**32)
    deterministic: bool = Field(False, description="The same seed gives bit-equal weights; training is slower.")
    warm_start: NumberOrText = Field(
        "none", pattern=_WARM_START, description="What the weights start from: `none`, `served`, a version, or the id of a run."
    )
    warm_moments: bool = Field(False, description="A warm start takes over the optimizer's moments, too.")
    new_ids: Literal["oov", "category", "random"] = Field(
        "oov",
        description="Where ids start that the start model lacks: at its out-of-vocabulary row, the mean of their category, or random.",
    )
    forget_after: int = Field(30, ge=0, le=10**6, description="A warm start drops ids that were not seen in this many spans; 0: none.")

    @field_validator("precision", mode="before")
    @classmethod
    def _refuse_float16(cls, precision: Any) -> Any:
        if precision == "mixed_float16":
            raise ValueError(
                "'mixed_float16' needs a loss scale, since small gradients are 0 in float16, and LazyAdam has none: "
                "use 'mixed_bfloat16', which has the range of float32"
            )
        return precision

    @model_validator(mode="after")
    def _check(self) -> "TrainingConfig":
        if self.warm_moments and self.schedule.kind != "constant":
            raise ValueError("warm_moments goes on with the steps of the start model, at which a schedule has ended: set one of the two")
        if self.split_rows:
            self._check_split()
        if self.workers > self.batch_size:
            raise ValueError(f"each of {self.workers} workers needs a row of every batch, but batch_size is {self.batch_size}")
        return self

    def _check_split(self) -> None:
        if self.workers == 1:
            raise ValueError("split_rows splits tables over several workers, but workers is 1: set workers to 2 or more")
        if self.clip_norm is not None:
            raise ValueError("no worker has all gradients of a split table, which clip_norm needs: set one of split_rows and clip_norm")
        if self.warm_start != "none":
            raise ValueError("a warm start reads whole tables, which split_rows avoids: set split_rows or warm_start, not both")


def of_earlier_release(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a saved configuration, with what a release meant that did not write it yet.

    A model that was saved before `model.interactions` existed has none, whatever the default is today.

    Args:
        config: A `DINConfig` as JSON, or a configuration with the same sections.
    """
    return {**config, "model": {"interactions": "none", **config.get("model", {})}}


class DINConfig(Frozen):
    """Everything that `din_trainer` is configured with."""

    features: FeatureConfig = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @model_validator(mode="after")
    def _check_long_history(self) -> "DINConfig":
        features, model, search = self.features, self.model, self.model.long_history.search
        length = features.long_history_length
        if search == "none":
            if length is not None:
                raise ValueError(
                    f"features.long_history_length = {length} is for model.long_history.search, which is 'none': set one of both"
                )
            return self
        if model.kind != "din" or not model.history:
            name = f"model.kind = {model.kind!r}" if model.kind != "din" else "model.history = false"
            raise ValueError(f"model.long_history.search = {search!r} is for model.kind = 'din' with histories, but {name}")
        if length is None:
            raise ValueError(f"model.long_history.search = {search!r} needs features.long_history_length: how many events it searches")
        if model.long_history.events > length:
            raise ValueError(
                f"model.long_history.events ({model.long_history.events}) cannot outnumber the {length} events that are searched"
            )
        of_sequence = features.sequences[features.searched]
        if search == "hard" and model.long_history.category not in of_sequence:
            raise ValueError(
                f"model.long_history.category names {model.long_history.category!r}, which is no behaviour of the sequence "
                f"{features.searched!r}: it has {', '.join(of_sequence)}"
            )
        if search == "hash" and self.training.split_rows:
            raise ValueError("model.long_history.search = 'hash' reads whole tables, which training.split_rows avoids: set one of both")
        return self

    @model_validator(mode="after")
    def _check_labels(self) -> "DINConfig":
        labels, weights = self.features.labels, self.training.label_weights
        settings = {"model.towers = 'mmoe'": self.model.towers == "mmoe", "model.esmm": self.model.esmm, "training.label_weights": weights}
        given = [name for name, value in settings.items() if value]
        if given and len(labels) == 1:
            raise ValueError(f"{given[0]} is for several labels, but features.labels has one: name the others there")
        unknown = sorted(set(weights) - set(labels))
        if unknown:
            raise ValueError(f"training.label_weights names {unknown[0]!r}, but features.labels has {', '.join(labels)}")
        return self
