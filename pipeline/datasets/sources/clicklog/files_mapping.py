"""The part of a mapping about files: how they are written, and which split each one belongs to."""

import codecs
import os.path
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from din_trainer.frozen import Frozen
from pipeline.datasets.tables.table_form import Format, TableForm, is_table


class FilesMapping(Frozen):
    """How files are written, and which split each one belongs to; patterns are globs below SOURCE."""

    format: Format | None = Field(
        None, description="csv, json (an object a line) or parquet, whatever the files are called. None: by suffix."
    )
    separator: str = Field("", description="Between the values of CSV; by default a comma, or a tab in .tsv.")
    encoding: str = "utf-8"
    quote: str = Field('"', description="Around values of CSV that hold a separator or a line end; empty: there is none.")
    escape: str = Field("", description="Before a character of CSV that belongs to the value, e.g. a backslash; empty: there is none.")
    header: bool = Field(True, description="Whether the first row of CSV has the names of the columns.")
    names: tuple[str, ...] = Field((), description='The columns of CSV without a header, in order; by default "1", "2", ….')
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    eval: tuple[str, ...] = ()

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            "a".encode(value)  # LookupError for hex and others: codecs.lookup knows them, but they are not encodings of text
            return codecs.lookup(value).name
        except (LookupError, ValueError) as error:
            raise ValueError("it is not an encoding of text that Python knows") from error

    @field_validator("quote", "escape")
    @classmethod
    def _check_character(cls, value: str) -> str:
        if len(value) > 1 or not value.isascii() or value in ("\r", "\n"):
            raise ValueError("it must be one character of ASCII, or empty for none")
        return value

    @field_validator("train", "validation", "eval")
    @classmethod
    def _check_patterns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(map(os.path.normpath, values))
        for value, pattern in zip(values, plain, strict=True):
            if not value or Path(pattern).is_absolute() or Path(pattern).parts[:1] == ("..",):
                raise ValueError(
                    f"{value!r} is not below SOURCE: give a pattern relative to it, and name the folder above all files as SOURCE"
                )
        return plain

    @model_validator(mode="after")
    def _check(self) -> "FilesMapping":
        if any(self.patterns.values()) and not (self.train and self.eval):
            raise ValueError("a given split needs both train and eval")
        if self.names and self.header:
            raise ValueError("names are for files without a header: set header = false beside them")
        if both := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"names has {min(both)!r} several times: give each column its own name")
        if {"\r", "\n"} & {*self.separator}:
            raise ValueError("separator has a line end, but rows end there")
        marks = [mark for mark in (self.separator, self.quote, self.escape) if mark]
        if len({*marks}) < len(marks):
            raise ValueError("separator, quote and escape must differ")
        if len(self.separator.encode()) > 1 and ((self.quote and "quote" in self.model_fields_set) or self.escape):
            raise ValueError(f"quote and escape need a separator of one character of ASCII, not {self.separator!r}")
        return self

    @property
    def patterns(self) -> dict[str, tuple[str, ...]]:
        """The patterns of each split."""
        return {"train": self.train, "validation": self.validation, "eval": self.eval}

    @property
    def form(self) -> TableForm:
        """How the log's tables are written."""
        return TableForm(self.format, self.separator, self.encoding, self.quote, self.escape, self.header, self.names)

    def side_form(self, path: Path) -> TableForm:
        """How the side table is written: as the log, but its suffix says the format; without a header its columns are named by place."""
        form = None if is_table(path) else self.format
        return TableForm(form, self.separator, self.encoding, self.quote, self.escape, self.header)
