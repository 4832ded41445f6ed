"""The base class of all configurations."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Frozen(BaseModel):
    """A configuration that refuses unknown keys, infinite numbers and truth values as numbers, and cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: ValidationInfo) -> Any:
        """Without this, `epochs = true` would mean one epoch."""
        values = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(part, bool) for part in values) and not _takes_truth_values(cls.model_fields[info.field_name or ""].annotation):
            raise ValueError("it must not be true or false")
        return value


def _takes_truth_values(annotation: Any) -> bool:
    """Whether a type is bool, or has it among its parts."""
    return annotation is bool or any(map(_takes_truth_values, get_args(annotation)))
