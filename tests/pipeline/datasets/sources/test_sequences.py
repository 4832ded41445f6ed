"""Lines written by hand in both forms, what an item's category is, and every kind of fault in the attributes."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.by_name import open_source
from pipeline.datasets.sources.interactions import Tally

LINES = "7 3 1 3\n0 2\n7 4\n"
ROWS = [(7, 3, 1), (7, 1, 1), (7, 3, 1), (0, 2, 1), (7, 4, 1)]  # user, item, label


def write(path: Path, lines: str = LINES) -> Path:
    path.write_text(lines)
    return path


def read(path: Path, tally: Tally | None = None, attributes: Path | None = None) -> list[tuple[int, ...]]:
    source = open_source("sequences", path, metadata=attributes)
    (file,) = source.files()
    batches = list(source.read(file, tally or Tally()))
    assert all(batch.schema == source.schema for batch in batches)
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def refused(path: Path, attributes: Path | None = None) -> str:
    with pytest.raises(InputError) as error:
        read(path, attributes=attributes)
    return str(error.value)


def test_items_of_a_line_are_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path / "lines.txt")) == ROWS
    assert read(write(tmp_path / "pairs.txt", "7 3\n7\t1\n7  3\r\n\n0 2\n7 4")) == ROWS
    rules = open_source("sequences", tmp_path / "lines.txt").rules
    assert rules["rows"] == "each item of a sequence is one; a broken line is one, however many items are on it"
    assert rules["category"] == "none, since there is no file lines_item2attributes.json"


def test_the_category_is_the_last_attribute(tmp_path: Path) -> None:
    source = write(tmp_path / "lines.txt")
    write(tmp_path / "lines_item2attributes.json", json.dumps({"3": [5, 9], "1": [2**63 - 1], "2": [], "8": [1]}))
    tally = Tally()
    assert [row[-1] for row in read(source, tally)] == [9, 2**63 - 1, 9, 0, 0]
    assert tally.notes == {"rows have an item without an attribute, so its category is 0": 2}
    other = write(tmp_path / "other.json", '{"4": ["6"]}')
    assert [row[-1] for row in read(source, attributes=other)] == [0, 0, 0, 0, 6]


def test_a_broken_line_is_one_row(tmp_path: Path) -> None:
    source = write(tmp_path / "lines.txt", f"7 3 1 3\n0 2 x 4 5\n0 2\n9\n7 4\n1 {2**63}\n")
    assert f"{source}, line 2: an id is 'x', but must be a whole number from 0 up" in refused(source)
    tally = Tally(skip_broken=True)
    assert read(source, tally) == ROWS
    assert tally.dropped == {"broken lines": 3}
    assert tally.broken[1] == "lines.txt, line 4: it has no item, but must be a user and their items"


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"3": [1, 2**63]}, "item '3': an attribute is '9223372036854775808', but must be a whole number from 0 up"),
        ({"3": [-1]}, "item '3': an attribute is '-1', but must be a whole number from 0 up"),
        ({"3": [1.5]}, "item '3': an attribute is '1.5', but must be"),
        ({"3": [True]}, "item '3': an attribute is 'True', but must be"),
        ({"3": [[1]]}, "item '3': an attribute is '[1]', but must be"),
        ({"3": 1}, "item '3': 1 is not a list"),
        ({"3": {"a": 1}}, "item '3': {'a': 1} is not a list"),
        ({"x": [1]}, "item 'x': an id is 'x', but must be a whole number from 0 up"),
        ([1], "is not a JSON object"),
    ],
)
def test_broken_attributes_are_refused(tmp_path: Path, attributes: Any, fault: str) -> None:
    file = write(tmp_path / "attributes.json", json.dumps(attributes))
    message = refused(write(tmp_path / "lines.txt"), file)
    assert str(file) in message and fault in message
    assert message.endswith(": it must be a JSON object with a list of whole numbers for each item.")


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "lines.txt")
    for text in ("{", "[" * 100_000):
        assert "attributes.json cannot be read (" in refused(source, write(tmp_path / "attributes.json", text))
    assert refused(source, tmp_path) == f"{tmp_path} is a folder: name the file that describes the items."
    assert f"{tmp_path} is not a file: name the file of sequences." == refused(tmp_path)
    assert "empty.txt holds no rows: download it again." in refused(write(tmp_path / "empty.txt", ""))
