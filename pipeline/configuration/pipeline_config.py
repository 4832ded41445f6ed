"""The configuration of a run: every key with its type, its bounds and its default."""

from typing import Annotated, Literal

from pydantic import Field, field_serializer, field_validator, model_validator

from components.base.errors import InputError
from components.base.secrets import hide_secrets
from components.base.stores import is_store, named_path
from components.evaluation.metrics.catalogue import METRICS
from components.evaluation.slice_column import SliceColumn
from components.serving.servers.server_url import is_server_url
from components.serving.store.models_config import POLL_SECONDS, WAIT_SECONDS
from din_trainer.config import DINConfig, NumberOrText
from din_trainer.features import USER_ID
from din_trainer.frozen import Frozen
from din_trainer.tuning.search_space import searches_regularization
from din_trainer.tuning.tuner_config import TunerConfig, check_tuner
from pipeline.configuration.beam_config import BeamConfig
from pipeline.configuration.drift_config import DistanceConfig, PresenceConfig, check_bounds
from pipeline.configuration.kubeflow_config import KubeflowConfig
from pipeline.configuration.slice_columns import check_slice_names, check_slice_values, slice_columns, user_level
from pipeline.configuration.store_url import parse_store_url
from pipeline.datasets.synthetic_config import SyntheticConfig

_LARGEST = 1e12  # bound of a threshold: more impressions than any eval split has


class Threshold(Frozen):
    """What a metric must reach on the whole eval split."""

    at_least: float | None = Field(None, ge=0, le=_LARGEST)
    at_most: float | None = Field(None, ge=0, le=_LARGEST)
    worse_by_at_most: float | None = Field(None, ge=0, le=_LARGEST, description="How much worse than the baseline's it may be.")
    confident: bool = Field(False, description="The worse end of the confidence interval must reach it as well.")

    @model_validator(mode="after")
    def _check_bounds(self) -> "Threshold":
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}), so that no value passes")
        return self


DAILY_CALIBRATION = Threshold(at_least=0.67, at_most=1.5)  # predicted over observed clicks


class SliceThreshold(Threshold):
    """What a metric must reach on one slice, or (with the value `*`) on each slice by a feature."""

    metric: str
    label: str = Field("", description="The label whose metric it is; by default the first one.")
    slice: dict[str, str] = Field(min_length=1, max_length=2)
    min_examples: int = Field(100, ge=1, le=10**9, description="A slice with fewer impressions is not judged.")


class BootstrapConfig(Frozen):
    """Confidence intervals. Users are drawn with replacement, because the impressions of one user are not independent."""

    replicates: int = Field(400, ge=0, le=100_000)
    confidence: float = Field(0.95, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**32)


class ImportanceConfig(Frozen):
    """How much AUC the model loses without each feature: permutation importance."""

    impressions: int = Field(20_000, ge=0, le=10**7, description="How many of eval/ are drawn, fewer with many features; 0: not measured.")
    slices: tuple[str, ...] = Field((), description="Features of evaluation.slices: the importance is measured on each of their slices.")


class EvaluationConfig(Frozen):
    """How a model is judged."""

    thresholds: dict[str, Threshold] = Field(min_length=1, description="Those of the first label, by metric.")
    label_thresholds: dict[str, dict[str, Threshold]] = Field(default_factory=dict, description="Those of further labels, by metric.")
    slices: tuple[str | tuple[str, str], ...]
    slice_thresholds: tuple[SliceThreshold, ...] = ()
    baseline: NumberOrText = Field(
        "served", description="What to compare with: `served`, another version, the folder of a SavedModel, or `none`."
    )
    bootstrap: BootstrapConfig = Field(default_factory=BootstrapConfig)
    importance: ImportanceConfig = Field(default_factory=ImportanceConfig)

    @model_validator(mode="after")
    def _check(self) -> "EvaluationConfig":
        named = [
            (name, threshold) for thresholds in (self.thresholds, *self.label_thresholds.values()) for name, threshold in thresholds.items()
        ]
        named += [(threshold.metric, threshold) for threshold in self.slice_thresholds]
        for name, threshold in named:
            if name not in METRICS:
                raise ValueError(f"no metric is called {name!r}: {', '.join(METRICS)} can have thresholds")
            if METRICS[name].better is None and threshold.worse_by_at_most is not None:
                raise ValueError(f"{name} has no better direction, so worse_by_at_most has no meaning: give it at_least and at_most")
            if threshold.at_least is not None and threshold.at_least > METRICS[name].highest:
                raise ValueError(f"{name} must be at least {threshold.at_least:g}, but it is never above {METRICS[name].highest:g}")
            if threshold.confident and not self.bootstrap.replicates:
                raise ValueError(
                    f"{name} must be reached with confidence, but evaluation.bootstrap.replicates is 0: set it to some hundreds"
                )
        for features in self.slice_features:
            if len(set(features)) < len(features):
                raise ValueError(f"evaluation.slices crosses {features[0]!r} with itself")
        known = {frozenset(features) for features in self.slice_features}
        for name in self.importance.slices:
            if frozenset([name]) not in known:
                raise ValueError(f"evaluation.importance.slices names {name!r}, which evaluation.slices does not name: add it there")
        if len(known) < len(self.slices):
            raise ValueError("evaluation.slices names a slice twice")
        for threshold in self.slice_thresholds:
            if frozenset(threshold.slice) not in known:
                raise ValueError(
                    f"a slice threshold is for {' and '.join(threshold.slice)}, which evaluation.slices does not name: add it there"
                )
        return self

    @property
    def judged_metrics(self) -> set[str]:
        """The metrics that have a threshold."""
        overall = (self.thresholds, *self.label_thresholds.values())
        return {*(name for thresholds in overall for name in thresholds), *(threshold.metric for threshold in self.slice_thresholds)}

    @property
    def slice_features(self) -> list[tuple[str, ...]]:
        """The features of each entry of `slices`: one feature, or the two of a cross."""
        return [(entry,) if isinstance(entry, str) else entry for entry in self.slices]


class SchemaConfig(Frozen):
    """The schema that the data must fit. By default it is made from the declared features."""

    file: str = Field("", description="A curated schema (.pbtxt).")
    infer: bool = Field(False, description="Infer the schema from train/ in this run, and write it to a file for review.")


class SpansConfig(Frozen):
    """Which spans a run with `--span` reads."""

    window: int = Field(0, ge=0, le=10_000, description="Train on so many days before the newest; 0: the newest has train, too (warm: 1).")
    hold_back: int = Field(0, ge=0, le=10_000, description="So many of the last days wait for late labels.")
    validation_share: float = Field(0.1, gt=0, lt=1, description="The share of the last day before the newest that is validation.")


class StatisticsConfig(Frozen):
    """The statistics of the data, which are compared with the schema."""

    sample: float = Field(1.0, gt=0, le=1, description="The share of the impressions that they are computed from.")


class ServingConfig(Frozen):
    """How a model is checked and pushed for TF Serving."""

    keep: int = Field(5, ge=1, le=10_000, description="How many of the newest versions are kept. Served versions are always kept.")
    push_to: Literal["stable", "canary"] = Field("stable", description="The label of a pushed version. `stable` sets `canary` as well.")
    base_path: str = Field("", description="The path at which TF Serving sees the versions of this name; by default the path here.")
    store: str = Field("", description="A folder in an object store that gets the served versions too, e.g. s3://BUCKET/serving.")
    tolerance: float = Field(1e-6, ge=0, le=0.1, description="The most that served and trained scores may differ; more at large logits.")
    latency_ms: float = Field(50.0, gt=0, le=600_000, description="The highest p99 of a signature at batch 1 (`rank`: four candidates).")
    memory_mb: float = Field(4096.0, gt=0, le=10**7, description="The highest peak memory of the loaded model while it answers.")
    gate: Literal["loader", "docker"] = Field("loader", description="Our own gate, or TFX's InfraValidator, which has no bounds.")
    model_server: str = Field("", description="A tensorflow_model_server to load the model; by default the one on PATH, if any.")
    poll_seconds: float = Field(POLL_SECONDS, ge=0, le=3600, description="How often TF Serving reads models.config; 0: never.")
    servers: tuple[str, ...] = Field((), description="The servers that a push asks and waits for, as grpc://HOST:PORT.")
    wait_seconds: float = Field(WAIT_SECONDS, gt=0, le=86_400, description="How long a push waits for `servers` at most.")

    @field_validator("base_path")
    @classmethod
    def _check_base_path(cls, value: str) -> str:
        if value and not (value.startswith("/") or "://" in value):
            raise ValueError("it must be an absolute path or a URI, because TF Serving has another working folder")
        if value != hide_secrets(value):
            raise ValueError("it holds a secret, which models.config would show: give TF Serving its credentials by its environment")
        return value

    @field_validator("store")
    @classmethod
    def _check_store(cls, value: str) -> str:
        if value and not is_store(value):
            raise ValueError("it must be a URL such as s3://BUCKET/FOLDER; the workspace has the versions in any case")
        if value != hide_secrets(value):
            raise ValueError("it holds a secret, which models.config would show: give the credentials by the environment")
        try:
            named_path(value)
        except InputError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("servers")
    @classmethod
    def _check_servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not is_server_url(url):
                raise ValueError(f"{url!r} is not the gRPC port of a server: write grpc://HOST:PORT")
        if len(set(value)) < len(value):
            raise ValueError("it names a server twice")
        return value


class NotifyConfig(Frozen):
    """Who is told how a run ended."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=10_000)], ...] = Field(
        (), max_length=100, description="A program and its arguments; it gets the summary on its stdin."
    )
    when: tuple[Literal["pushed", "unchanged", "refused", "data_refused", "failed", "interrupted"], ...] = Field(
        ("refused", "data_refused", "failed"), description="The endings that are told."
    )
    seconds: float = Field(60.0, gt=0, le=3600, description="The command is ended after this time.")


class MetadataConfig(Frozen):
    """Where TFX keeps its metadata."""

    url: str = Field("", description="A database of its own, as postgresql://… or mysql://…; by default a SQLite file in the workspace.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value:
            parse_store_url(value)
        return value

    @field_serializer("url", when_used="json")
    def _without_password(self, value: str) -> str:
        return parse_store_url(value).public if value else ""


class WorkspaceConfig(Frozen):
    """What stays in the workspace."""

    keep_runs: int = Field(20, ge=1, le=100_000, description="How many of the newest runs of this name stay, with what they made.")


class PipelineConfig(DINConfig):
    """Everything that a run depends on, except its data."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$", description="Runs, baseline and served versions belong to this name.")
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig, description="Used when no data is given.")
    data_schema: SchemaConfig = Field(default_factory=SchemaConfig)
    spans: SpansConfig = Field(default_factory=SpansConfig)
    statistics: StatisticsConfig = Field(default_factory=StatisticsConfig)
    drift: dict[str, DistanceConfig] = Field(default_factory=dict, description="How far features may be from earlier training data.")
    skew: dict[str, DistanceConfig] = Field(default_factory=dict, description="How far features may be from requests that were served.")
    presence: PresenceConfig = Field(default_factory=PresenceConfig)
    requests: str = Field("", description="A folder of logged requests, which the training data is compared with.")
    tuner: TunerConfig = Field(default_factory=TunerConfig)
    evaluation: EvaluationConfig
    serving: ServingConfig = Field(default_factory=ServingConfig)
    metadata: MetadataConfig = Field(default_factory=MetadataConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    workspace: WorkspaceConfig = Field(default_factory=WorkspaceConfig)
    beam: BeamConfig = Field(default_factory=BeamConfig)
    kubeflow: KubeflowConfig = Field(default_factory=KubeflowConfig)

    @model_validator(mode="after")
    def _check(self) -> "PipelineConfig":
        check_bounds("drift", self.drift, self.features)
        check_bounds("skew", self.skew, self.features)
        check_slice_names([name for features in self.evaluation.slice_features for name in features], self.features)
        check_tuner(self.tuner, self.din)
        first = self.features.labels[0]
        for label in (*self.evaluation.label_thresholds, *(threshold.label for threshold in self.evaluation.slice_thresholds)):
            if label not in ("", *self.features.labels):
                raise ValueError(f"a threshold is for the label {label!r}, but features.labels has {', '.join(self.features.labels)}")
        if first in self.evaluation.label_thresholds:
            raise ValueError(
                f"{first} is the first label: its thresholds are evaluation.thresholds, not evaluation.label_thresholds.{first}"
            )
        for metric in self.evaluation.judged_metrics:
            if METRICS[metric].within == "user" and USER_ID not in self.features.user:
                raise ValueError(f"{metric} ranks within users, but no {USER_ID} is declared: declare it, or remove the threshold")
        for threshold in self.evaluation.slice_thresholds:
            check_slice_values(threshold.slice, self.features)
            torn = [name for name in threshold.slice if name not in self.user_level]
            if METRICS[threshold.metric].within == "request" and torn:
                raise ValueError(
                    f"{threshold.metric} ranks all impressions of a request, but a slice by {torn[0]!r} holds only some of them: "
                    f"give it a threshold on {', '.join(sorted(self.user_level)) or 'the whole eval split'}"
                )
        return self

    @property
    def counts_read(self) -> bool:
        """Whether the training, or a trial of the tuner, reads how often ids occur: the regularisation needs it."""
        return self.training.regularization > 0 or (self.tuner.trials > 0 and searches_regularization(self.tuner.space, self.din))

    @property
    def thresholds(self) -> dict[str, dict[str, Threshold]]:
        """The thresholds on the whole eval split by label: those of `evaluation`, and the one on calibration that runs day by day have.

        A model that is trained on and on can drift away from the share of clicks, which AUC does not show.
        """
        day_by_day = self.training.warm_start != "none" or self.spans.window
        first, *others = self.features.labels
        given = {first: self.evaluation.thresholds, **{label: self.evaluation.label_thresholds.get(label, {}) for label in others}}
        return {label: {**({"calibration": DAILY_CALIBRATION} if day_by_day else {}), **thresholds} for label, thresholds in given.items()}

    @property
    def spans_read(self) -> SpansConfig:
        """`spans`, with the window of 1 that a warm start has by default: it has learnt from the days before."""
        warm = self.training.warm_start != "none" and not self.spans.window
        return self.spans.model_copy(update={"window": 1}) if warm else self.spans

    @property
    def slice_columns(self) -> dict[str, SliceColumn]:
        """The computed columns that one can slice by, by name."""
        return slice_columns(self.features)

    @property
    def user_level(self) -> set[str]:
        """The slice features that have the same value in all impressions of a user."""
        return user_level(self.features)

    @property
    def din(self) -> DINConfig:
        """The part of the configuration that `din_trainer` uses."""
        return DINConfig(features=self.features, model=self.model, training=self.training)
