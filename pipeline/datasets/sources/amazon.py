"""Reads reviews of Amazon's products in the forms of 2014, 2018 and 2023, with their metadata, as McAuley's group publishes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from components.base.errors import InputError
from pipeline.datasets.sources.amazon_files import AmazonFiles, find_amazon_files
from pipeline.datasets.sources.amazon_products import UNKNOWN, Product, read_categories, read_products
from pipeline.datasets.sources.fields_by_id import FieldsById
from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, SPLIT, TIMESTAMP, USER, Tally
from pipeline.datasets.sources.typed_columns import Column, time_column, typed_rows
from pipeline.datasets.tables.read_table import column_names, read_table


@dataclass(frozen=True)
class _Form:
    """The keys of a review.

    Attributes:
        years: When the reviews were collected.
        user: The key of the user.
        item: The key of the item, in reviews and in metadata.
        time: The time.
        per_second: How many units of the time are a second.
    """

    years: str
    user: str
    item: str
    time: Column
    per_second: int

    @property
    def columns(self) -> dict[str, Column]:
        """The columns to read, by their keys."""
        ids = {key: Column(key, dtype="bytes", expected="text in UTF-8, without line ends and NUL") for key in (self.user, self.item)}
        return {**ids, self.time.name: self.time}

    def __str__(self) -> str:
        return ", ".join(self.columns)


_MS = Column("timestamp", high=4_102_444_800_000, expected="a time in whole unix milliseconds")
_FORMS = (
    _Form("2014 or 2018", "reviewerID", "asin", time_column("unixReviewTime"), 1),
    _Form("2023", "user_id", "parent_asin", _MS, 1000),
)


CATEGORIES, BRAND, PRICE = "candidate_categories", "candidate_brand", "candidate_price"
_FIELDS = [(CATEGORIES, pa.list_(pa.binary())), (BRAND, pa.binary()), (PRICE, pa.float32())]


@dataclass(frozen=True)
class Amazon:
    """Reviews as clicks: each review is one, whatever its stars, as in the code of the DIN paper's authors.

    Args:
        source: A file of reviews, or a folder with one, or with the three of a split; `find_amazon_files` says their names.
        metadata: JSON lines of products. None: the file beside the reviews. Without metadata, items have no category.
        item_fields: Whether all categories are read, as tags, and brand and price.

    Raises:
        InputError: A file is missing, or there are several.
    """

    source: Path
    metadata: Path | None = None
    item_fields: bool = False
    name: str = "amazon"
    has_negatives: bool = False
    history: Literal["earlier", "before"] = "before"
    repeats: Literal["latest", "all"] = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", self.metadata or self._found.metadata)
        if self.item_fields and not self.metadata:
            raise InputError(
                f"--item-fields needs the file of the products, {self._found.metadata_pattern}: put it there, or name it with --metadata."
            )

    @property
    def rules(self) -> dict[str, str]:
        category = f"none, since there is no file {self._found.metadata_pattern}"
        if self.metadata:
            category = (
                f"the last one in the item's list in {self.metadata.name} (in its last list if it has several), else its main category; "
                f"{UNKNOWN.decode()} where it has none. The first line of an item counts"
            )
        fields = {
            CATEGORIES: "all that are listed, each once, without those with HTML",
            BRAND: f"brand, or store in 2023; {UNKNOWN.decode()} where there is none",
            PRICE: "in dollars; missing where there is no single one",
        }
        return {
            "form": f"reviews of {self._form.years}: {self._form}",
            "label": "each review is a click, whatever its stars",
            "time": f"{self._form.time.name} in whole seconds (whole days in 2014 and 2018); at one time the file's order counts",
            "category": category,
            **(fields if self.item_fields else {}),
        }

    @property
    def schema(self) -> pa.Schema:
        fields = [(USER, pa.binary()), (ITEM, pa.binary()), (LABEL, pa.int64()), (TIMESTAMP, pa.int64())]
        fields += [(CATEGORY, pa.binary())] * bool(self.metadata) + _FIELDS * self.item_fields
        fields += [(SPLIT, pa.int64())] * self._found.is_split
        return pa.schema(fields)

    def files(self) -> list[Path]:
        return self._found.reviews

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the reviews in the file's order. The category, or all fields, of each item are held in memory.

        With `tally.skip_broken`, an item on a broken line counts as an item without a line. `tally.broken` names those lines, and
        `tally.notes` counts them, since they are not interactions.
        """
        products = read_products(self.metadata, self._form.item, tally) if self.metadata and self.item_fields else {}
        categories = {item: product.category for item, product in products.items()}
        if self.metadata and not self.item_fields:
            categories = read_categories(self.metadata, self._form.item, tally)
        fields = _fields(products) if self.item_fields else None
        del products
        columns = self._form.columns
        for user, item, time in typed_rows(file, read_table(file, list(columns)), columns, tally):
            values = {USER: user, ITEM: item, LABEL: [1] * len(user), TIMESTAMP: time // self._form.per_second}
            values[CATEGORY] = [categories.get(key, UNKNOWN) for key in item]
            values |= _known(fields.fields_of(pa.array(item, pa.binary()))) if fields else {}
            values[SPLIT] = [self.files().index(file)] * len(user)
            yield pa.RecordBatch.from_pydict({name: values[name] for name in self.schema.names}, schema=self.schema)

    @cached_property
    def _found(self) -> AmazonFiles:
        return find_amazon_files(self.source)

    @cached_property
    def _form(self) -> _Form:
        """The form of the reviews, which their keys show."""
        file = self.files()[0]
        names = column_names(file)
        found = next((form for form in _FORMS if not names or {*form.columns} <= {*names}), None)
        if found is None:
            known = " nor ".join(f"those of {form.years} ({form})" for form in _FORMS)
            raise InputError(
                f"{file} has neither the keys of reviews of {known.removeprefix('those of ')}; it has: {', '.join(names)}. "
                "Name a file of reviews, or import it with clicklog."
            )
        return found


def _fields(products: dict[bytes, Product]) -> FieldsById:
    columns = {
        CATEGORIES: [product.categories for product in products.values()],
        BRAND: [product.brand for product in products.values()],
        PRICE: [product.price for product in products.values()],
    }
    return FieldsById(np.array(list(products), object), pa.Table.from_pydict(columns, schema=pa.schema(_FIELDS)))


def _known(fields: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Returns the fields of items, some of which have no line."""
    return {**fields, BRAND: fields[BRAND].fill_null(UNKNOWN)}
