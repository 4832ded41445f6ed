"""Finds the files of Amazon's reviews and metadata by the names that they have where they are published."""

import re
from pathlib import Path
from typing import NamedTuple

from components.base.errors import InputError

_JSON = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_TABLES = (*_JSON, ".csv", ".csv.gz")
_METADATA = "meta_"
_OLD_REVIEWS = "reviews_"  # the prefix of 2014
_SPLITS = ("train", "valid", "test")
_REST = re.compile(rf"^{_OLD_REVIEWS}|(_\d+)?(\.({'|'.join(_SPLITS)}))?\.(json|jsonl|csv)(\.gz)?$")


class AmazonFiles(NamedTuple):
    """The files of a product group.

    Attributes:
        reviews: One file, or those of train, validation and test.
        metadata: The file of products; None where there is none.
        metadata_pattern: Which name it must have.
        is_split: Whether `reviews` are those of a split.
    """

    reviews: list[Path]
    metadata: Path | None
    metadata_pattern: str
    is_split: bool


def find_amazon_files(source: Path) -> AmazonFiles:
    """Finds the files of SOURCE.

    Args:
        source: Reviews are called reviews_NAME_5.json (2014), NAME.json or NAME_5.json (2018), NAME.jsonl or NAME.csv (2023), or
            NAME.train.csv, NAME.valid.csv and NAME.test.csv, which are a split. Products are in meta_NAME.json or .jsonl beside them. Each
            may be gzipped.

    Raises:
        InputError: A file is missing, or there are several.
    """
    if not source.exists():
        raise InputError(f"{source} is missing: name the file of reviews, or the folder that holds it.")
    if source.is_file():
        pattern = f"{_METADATA}{_REST.sub('', source.name)}.json"
        beside = [path for suffix in _JSON if (path := source.with_name(Path(pattern).stem + suffix)).is_file()]
        found = _at_most_one(source.parent, pattern, beside)
        return AmazonFiles([source], found[0] if found else None, pattern, is_split=False)
    tables = sorted(path for path in source.iterdir() if path.is_file() and path.name.endswith(_TABLES))
    reviews = [path for path in tables if not path.name.startswith(_METADATA)]
    reviews = [path for path in reviews if path.name.startswith(_OLD_REVIEWS)] or reviews
    found = _split(reviews) or _at_most_one(source, "of reviews", reviews)
    if not found:
        raise InputError(f"{source} has no file of reviews (NAME_5.json.gz, NAME.jsonl, …): name the folder or the file that holds them.")
    metadata = _at_most_one(source, f"{_METADATA}*.json", [path for path in tables if path.name.startswith(_METADATA)])
    return AmazonFiles(found, metadata[0] if metadata else None, f"{_METADATA}*.json in {source}", is_split=len(found) > 1)


def _split(reviews: list[Path]) -> list[Path]:
    """Returns the files of train, validation and test if these are all files."""
    found = {split: path for path in reviews for split in _SPLITS if f".{split}." in path.name}
    is_whole = len(found) == len(reviews) == len(_SPLITS) and len({_REST.sub("", path.name) for path in reviews}) == 1
    return [found[split] for split in _SPLITS] if is_whole else []


def _at_most_one(folder: Path, pattern: str, found: list[Path]) -> list[Path]:
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder} has several files {pattern} ({names}): keep one, or name it.")
    return found
