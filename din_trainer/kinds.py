"""The kinds of features: what each of them has in the data, and what it becomes in the model.

| kind          | in the data                         | in the model                                                       |
|---------------|-------------------------------------|--------------------------------------------------------------------|
| `categorical` | one value                           | an embedding, by a vocabulary                                      |
| `tags`        | any number of values, with weights  | the sum, mean or √n of their embeddings; zero if there are none    |
| `numeric`     | one number                          | the number, scaled                                                 |
| `bucketized`  | one number                          | an embedding of its bucket                                         |
| `hashed`      | one value                           | an embedding of its hash, without a vocabulary                     |
| `vector`      | a fixed number of floats            | the floats, or what a dense layer makes of them                    |
| `cross`       | nothing: it joins other features    | an embedding of the values together                                |
| `time_gap`    | the time of an event                | log(1 + hours) from the event to the impression, scaled            |

All but `time_gap` and `cross` can be fields of a user, a context, a candidate or an event; a `time_gap` belongs to events, a `cross` does
not. A value that is missing is −1 (int64 ids), "" (bytes) or NaN (numbers), or is not there at all.
"""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from din_trainer.frozen import Frozen

DType = Literal["int64", "bytes", "float"]

# Before Transform: what stands for "no value" in a raw feature. A numeric int64 feature has no such value, since -1 is a number.
MISSING: dict[DType, Any] = {"int64": -1, "bytes": b"", "float": float("nan")}

Dim = Annotated[int, Field(ge=1, le=4096, description="Embedding size.")]
MOST_ROWS = 10**8  # of a table
LARGEST = 1e300  # of a number


class Vocabulary(Frozen):
    """How the values of a categorical feature become embedding rows."""

    dtype: Literal["int64", "bytes"] = "int64"
    dim: Dim = 16
    min_count: int = Field(1, ge=1, le=10**9, description="Values seen less often in train/ are out of vocabulary.")
    oov_buckets: int = Field(1, ge=1, le=10**7, description="Embedding rows shared by all out-of-vocabulary values.")
    embeddings: str = Field("", description="An .npz file with `ids` and `vectors`: initial embeddings by raw id.")
    trainable: bool = Field(True, description="Whether training changes the embeddings.")

    @model_validator(mode="after")
    def _check_embeddings(self) -> "Vocabulary":
        if not self.trainable and not self.embeddings:
            raise ValueError("trainable = false needs embeddings to keep: name an .npz file")
        return self


class _Feature(Frozen):
    """What the features of all kinds have."""

    lookup: str = Field("", description="The table that has the feature (features.lookups); by default the data has it.")
    column: str = Field("", description="The column of that table; by default the feature's name.")

    @model_validator(mode="before")
    @classmethod
    def _without_defaults_of_other_kinds(cls, values: Any) -> Any:
        """Drops keys that another kind has and that are at its default: a change of `kind` leaves them behind."""
        if not isinstance(values, dict):
            return values
        others = {**Vocabulary.model_fields, "embed": Categorical.model_fields["embed"]}
        return {
            key: value
            for key, value in values.items()
            if key in cls.model_fields or key not in others or value != others[key].get_default()
        }

    @model_validator(mode="after")
    def _check_lookup(self) -> "_Feature":
        if self.column and not self.lookup:
            raise ValueError("column names a column of a table: set lookup, too")
        return self


class Categorical(Vocabulary, _Feature):
    """One value, by its embedding. A missing value counts as out of vocabulary."""

    kind: Literal["categorical"] = "categorical"
    dtype: DType = "int64"  # type: ignore[assignment]  # so that `float` is refused by a sentence
    embed: bool = Field(True, description="False: the model does not read it; metrics and slices do.")

    @model_validator(mode="after")
    def _check(self) -> "Categorical":
        if self.dtype == "float":
            raise ValueError("a float feature has kind = 'numeric', 'bucketized' or 'vector'")
        return self


class Tags(Vocabulary, _Feature):
    """Any number of values, by the sum, mean or √n (sum divided by the root of the summed squares of the weights) of their embeddings.

    No values give the zero vector. A mean divides by the sum of the weights.
    """

    kind: Literal["tags"]
    weights: str = Field("", description="The float column with the weight of each value, side by side with them; by default each is 1.")
    combine: Literal["sum", "mean", "sqrtn"] = Field("mean", description="How the embeddings become one.")
    most: int = Field(10, ge=1, le=10_000, description="How many values are read, from the first; further ones are left out.")
    lengths: str = Field("", description="Only for events: the int64 column that says how many values each event has.")


class Numeric(_Feature):
    """One number. A missing one is the mean (`zscore`, `log`), the lowest (`minmax`) or the median (`quantile`)."""

    kind: Literal["numeric"]
    dtype: Literal["int64", "float", "bytes"] = "int64"
    scale: Literal["zscore", "log", "minmax", "quantile"] = Field(
        "zscore",
        description="log: z-score of sign(x) · log(1 + |x|); minmax, quantile: to [0, 1], by the range or the rank in train/.",
    )
    clip: tuple[float, float] | None = Field(None, description="The number is first brought between these two.")
    indicator: bool = Field(False, description="A second number says whether the value is missing (1).")

    @model_validator(mode="after")
    def _check(self) -> "Numeric":
        if self.dtype == "bytes":
            raise ValueError("a numeric feature has dtype 'int64' or 'float'")
        if self.clip and not -LARGEST <= self.clip[0] < self.clip[1] <= LARGEST:
            raise ValueError(f"clip must be two numbers, the lower first; received {list(self.clip)}")
        return self

    @property
    def width(self) -> int:
        """How many numbers the model reads."""
        return 2 if self.indicator else 1


class Bucketized(_Feature):
    """One number, by the embedding of its bucket. A missing one has a row of its own."""

    kind: Literal["bucketized"]
    dtype: Literal["int64", "float"] = "int64"
    boundaries: tuple[float, ...] = Field((), max_length=100_000, description="Ascending; a number at a boundary is in the bucket above.")
    buckets: int = Field(0, ge=0, le=100_000, description="Instead of boundaries: so many quantiles of train/.")
    dim: Dim = 16

    @model_validator(mode="after")
    def _check(self) -> "Bucketized":
        if bool(self.boundaries) == (self.buckets > 1):
            raise ValueError("set boundaries, or buckets to 2 or more")
        if any(low >= high for low, high in pairwise(self.boundaries)):
            raise ValueError("boundaries must ascend")
        return self

    @property
    def rows(self) -> int:
        """Embedding rows: padding, the buckets, and one for missing numbers."""
        return (len(self.boundaries) + 1 if self.boundaries else self.buckets) + 2


class Hashed(_Feature):
    """One value, by the embedding of its hash (FarmHash64 of its text). It needs no vocabulary. A missing value has a row of its own."""

    kind: Literal["hashed"]
    dtype: Literal["int64", "bytes"] = "int64"
    buckets: int = Field(ge=1, le=MOST_ROWS, description="Embedding rows for all values together.")
    dim: Dim = 16

    @property
    def rows(self) -> int:
        """Embedding rows: padding, the buckets, and one for missing values."""
        return self.buckets + 2


class Vector(_Feature):
    """A fixed number of floats, such as an embedding of an image. A missing vector is zero."""

    kind: Literal["vector"]
    dtype: Literal["float"] = "float"
    size: int = Field(ge=1, le=65_536, description="How many floats.")
    units: int = Field(0, ge=0, le=65_536, description="The size of a dense layer that reads it; 0: the model reads it as it is.")


class Cross(Vocabulary, _Feature):
    """Two or three features together, by one embedding: by a vocabulary of the combinations, or hashed."""

    kind: Literal["cross"]
    dtype: Literal["int64", "bytes"] = "bytes"
    of: tuple[str, ...] = Field(min_length=2, max_length=3, description="Categorical, hashed or bucketized features, or candidate fields.")
    buckets: int = Field(0, ge=0, le=MOST_ROWS, description="Embedding rows for hashes of all combinations; 0: a vocabulary.")

    @model_validator(mode="after")
    def _check(self) -> "Cross":
        if self.dtype != "bytes" or self.lookup:
            raise ValueError("a cross has no dtype and no lookup: its features have them")
        if self.buckets and (self.min_count, self.oov_buckets, self.embeddings) != (1, 1, ""):
            raise ValueError("a hashed cross has no vocabulary: set buckets, or min_count, oov_buckets and embeddings")
        return self

    @property
    def rows(self) -> int | None:
        """Embedding rows of a hashed cross: padding, and the buckets. None: those of its vocabulary."""
        return self.buckets + 1 if self.buckets else None


class TimeGap(_Feature):
    """The time of an event, in unix seconds: log(1 + hours) from it to the impression, scaled to mean 0 and deviation 1."""

    kind: Literal["time_gap"]
    dtype: Literal["int64"] = "int64"


KINDS = ("categorical", "tags", "numeric", "bucketized", "hashed", "vector", "cross", "time_gap")
WRONG_KIND = "kind"  # the type of pydantic's error for another one


def _kind_of(value: Any) -> str:
    """The kind of a feature, `categorical` if it has none."""
    return str(value.get("kind", "categorical")) if isinstance(value, dict) else getattr(value, "kind", "categorical")


Feature = Annotated[
    Annotated[Categorical, Tag("categorical")]
    | Annotated[Tags, Tag("tags")]
    | Annotated[Numeric, Tag("numeric")]
    | Annotated[Bucketized, Tag("bucketized")]
    | Annotated[Hashed, Tag("hashed")]
    | Annotated[Vector, Tag("vector")]
    | Annotated[Cross, Tag("cross")]
    | Annotated[TimeGap, Tag("time_gap")],
    Discriminator(
        _kind_of,
        custom_error_type=WRONG_KIND,
        custom_error_message=f"kind must be one of {', '.join(KINDS)}",
    ),
]
