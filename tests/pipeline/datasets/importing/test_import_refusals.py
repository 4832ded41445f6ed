"""What an import refuses, drops or passes on: empty splits, settings that have no effect, broken lines and errors of the source."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from components.base.errors import InputError
from pipeline.datasets.importing.import_report import lines
from pipeline.datasets.importing.import_settings import ImportSettings, resolve_settings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.sequences import Sequences
from tests.pipeline.datasets.importing.list_source import ListSource, Row, brought_in, event


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    source = ListSource([[event(1, 1, 1), event(1, 2, 2)]], tmp_path / "files")
    message = (
        r"No impression would be in validation \(2 in train, 0 in eval\): each user's rows are split, and a share of them may be less than"
    )
    with pytest.raises(InputError, match=message):
        import_source(source, tmp_path / "out")
    with pytest.raises(InputError, match=r"No impression would be in train \(0 in validation, 2 in eval\): use another --split"):
        import_source(source, tmp_path / "out", ImportSettings(split="user", seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_no_click_is_refused_where_negatives_are_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no click is left of 2 rows, so there is nothing to import"):
        brought_in(tmp_path, [event(1, 1, 1, 0), event(1, 2, 2, 0)], negatives="uniform", split="time")


@pytest.mark.parametrize(
    ("has_negatives", "settings", "message"),
    [
        (False, {"negatives": "observed"}, "has only clicks"),
        (True, {"split": "time"}, "has no timestamps"),
        (True, {"split": "given"}, "is not split already"),
        (True, {"last": 2}, "last has no effect with --split last and --negatives observed"),
        (True, {"negatives_per_positive": 4}, "negatives_per_positive has no effect"),
        (False, {"eval_share": 0.5}, "eval_share has no effect with --split last-items"),
    ],
)
def test_settings_that_do_not_go_with_the_source(tmp_path: Path, has_negatives: bool, settings: Row, message: str) -> None:
    source = ListSource([[{"user_id": 1, "candidate_item_id": 1, "label": 1}]], tmp_path, has_negatives=has_negatives)
    with pytest.raises(InputError, match=message):
        resolve_settings(source, ImportSettings(**settings))


def test_a_source_that_holds_nothing_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("x y\n")
    with pytest.raises(
        InputError, match=r"lines.txt: no interaction is left of 1 rows \(1 dropped: broken lines; lines.txt, line 1: an id is 'x'"
    ):
        import_source(Sequences(tmp_path / "lines.txt"), tmp_path / "out", ImportSettings(skip_broken=True))
    assert [path.name for path in tmp_path.iterdir()] == ["lines.txt"]


def test_a_broken_line_ends_the_import_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("1 2 3\n\n2 x\n")
    with pytest.raises(InputError, match=r"lines.txt, line 3: an id is 'x', but must be a whole number from 0 up: correct or remove"):
        import_source(Sequences(tmp_path / "lines.txt"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["lines.txt"]


def test_broken_lines_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("1 2 3 4 5\n2 x\n3\n2 4 3\n")
    manifest = import_source(Sequences(tmp_path / "lines.txt"), tmp_path / "out", ImportSettings(skip_broken=True))
    assert manifest["rows"]["dropped"] == {"broken lines": 2} and manifest["rows"]["read"] == 8
    assert manifest["rows"]["broken"] == [
        "lines.txt, line 2: an id is 'x', but must be a whole number from 0 up",
        "lines.txt, line 3: it has no item, but must be a user and their items",
    ]
    report = "\n".join(lines(manifest))
    assert "8 rows read, 6 kept" in report and "dropped 2: broken lines" in report and "lines.txt, line 2" in report


@pytest.mark.parametrize("error", [InputError("row 1 is bad"), OSError(28, "No space left", "x.arrow"), KeyboardInterrupt()])
def test_an_error_reaches_the_caller_as_it_was_raised_and_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    class Broken(ListSource):
        def read(self, file: Path, tally: Tally) -> Iterator[pa.RecordBatch]:
            yield from super().read(file, tally)
            raise error

    with pytest.raises(type(error)) as caught:
        import_source(Broken([[event(1, 1, 1)]], tmp_path / "files"), tmp_path / "out")
    assert caught.value is error
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
