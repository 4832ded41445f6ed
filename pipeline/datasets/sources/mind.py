"""Reads MIND, Microsoft's news data: impression lists with the reader's history, and the split that its folders give."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import InputError
from pipeline.datasets.layout import SPLITS
from pipeline.datasets.sources.clicklog.click_log import ClickLog
from pipeline.datasets.sources.clicklog.mapping import Mapping, read_mapping
from pipeline.datasets.sources.interactions import SPLIT, Tally
from pipeline.datasets.tables.read_table import read_table

BEHAVIORS, NEWS = "behaviors.tsv", "news.tsv"
_FOLDERS = {"train": r"train$", "dev": r"(dev|valid|validation)$", "test": r"test$"}
_LABEL = "-[01]( |$)"


class _Files(NamedTuple):
    """Files of impressions with their splits (None: there is no split), and those that are left out."""

    splits: dict[Path, str | None]
    unlabelled: list[Path]


@dataclass(frozen=True)
class Mind:
    """The impressions of one behaviors.tsv, or of those in the folders of a split; the columns are those of the mapping `mind`.

    Where the folder of test has labels, it is eval/ and dev is validation/. Otherwise dev is eval/.

    Args:
        source: behaviors.tsv, its folder, or the folder above folders whose names end in train, dev and test.
        mapping: The mapping `mind`.
        name: The name in the manifest.
    """

    source: Path
    mapping: Path
    name: str = "mind"
    has_negatives: bool = True
    history: Literal["earlier", "before"] = "earlier"
    repeats: Literal["latest", "all"] = "all"

    @property
    def rules(self) -> dict[str, str]:
        files = [f"{split}: {file.parent.name}" for file, split in self._found.splits.items() if split]
        files += [f"without labels, and so left out: {file.parent.name}" for file in self._found.unlabelled]
        rules = next(iter(self._logs.values())).rules
        return {"folders": ", ".join(files), **rules} if files else rules

    @property
    def schema(self) -> pa.Schema:
        schema = next(iter(self._logs.values())).schema
        return schema.append(pa.field(SPLIT, pa.int64())) if any(self._found.splits.values()) else schema

    def files(self) -> list[Path]:
        """Returns the files of impressions.

        Raises:
            InputError: There is none, several folders have one role, or news.tsv is missing.
        """
        return list(self._found.splits)

    def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Yields the impressions in the file's order. The categories of the news are held in memory.

        Raises:
            InputError: The file or news.tsv cannot be read; or a line is broken, and broken lines are not skipped.
        """
        split = self._found.splits[file]
        for batch in self._logs[file].read(file, tally):
            place = [] if split is None else [pa.array(np.full(batch.num_rows, SPLITS.index(split)))]
            yield pa.RecordBatch.from_arrays([*batch.columns, *place], schema=self.schema)

    @cached_property
    def _logs(self) -> dict[Path, ClickLog]:
        return {file: ClickLog(file, self.mapping) for file in self._found.splits}

    @cached_property
    def _found(self) -> _Files:
        found = _find(self.source, read_mapping(self.mapping))
        for news in (file.with_name(NEWS) for file in found.splits):
            if not news.is_file():
                raise InputError(f"{news} is missing: put it beside {BEHAVIORS}, since it has the categories.")
        return found


def _find(source: Path, meaning: Mapping) -> _Files:
    single = source / BEHAVIORS if source.is_dir() else source
    if single.is_file():
        return _Files({single: None}, [])
    files = _of_folders(source)
    unlabelled = [file for name, file in files.items() if name == "test" and not _has_labels(file, meaning)]
    labelled = [file for file in files.values() if file not in unlabelled]
    if "train" not in files or len(labelled) < 2:
        raise InputError(
            f"{source} has no {BEHAVIORS}, nor folders with it whose names end in train and in dev or test (test only with labels): "
            "name the file, or the folder above these folders."
        )
    return _Files(dict(zip(labelled, SPLITS if len(labelled) == len(SPLITS) else (SPLITS[0], SPLITS[-1]), strict=True)), unlabelled)


def _of_folders(source: Path) -> dict[str, Path]:
    """Returns the files of train, dev and test, in this order."""
    files: dict[str, Path] = {}
    for name, pattern in _FOLDERS.items():
        found = [path for path in sorted(source.glob(f"*/{BEHAVIORS}")) if re.search(pattern, path.parent.name, re.IGNORECASE)]
        if len(found) > 1:
            raise InputError(f"{source} has several folders of {name} ({', '.join(path.parent.name for path in found)}): keep one.")
        if found:
            files[name] = found[0]
    return files


def _has_labels(file: Path, meaning: Mapping) -> bool:
    rows = next(read_table(file, [meaning.impressions.column], meaning.files.form))
    return pc.any(pc.match_substring_regex(rows.columns[0], _LABEL)).as_py() is True
