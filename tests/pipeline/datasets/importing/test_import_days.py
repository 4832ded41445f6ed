"""`din import --spans day`: which day each impression is in, what each day's manifest says, what is refused. Worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.base.errors import InputError
from components.base.tfrecord import read_batches
from pipeline.datasets.importing.days import day_starts, end_of_day
from pipeline.datasets.importing.import_report import lines
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.layout import FolderWriter
from pipeline.datasets.sources.sequences import Sequences
from pipeline.datasets.spans import find_spans
from tests.pipeline.datasets.importing.list_source import ListSource, Row, event, to_rows

DAY = 86_400
NOON = 20_000 * DAY + DAY // 2  # of 2024-10-04


def by_day(tmp_path: Path, rows: list[Row], *, source: dict[str, Any] | None = None, **settings: Any) -> dict[str, list[Row]]:
    made = ListSource([rows], tmp_path / "files", **(source or {}))
    import_source(made, tmp_path / "out", ImportSettings(spans="day", **settings), command="din import")
    spans = find_spans(tmp_path / "out")
    return {span.name: [row for path in span.shards() for batch in read_batches(path) for row in to_rows(batch)] for span in spans}


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_days_end_at_midnight_in_utc_and_histories_go_over_them(tmp_path: Path) -> None:
    """The last second of 2024-10-04 and the first of the next day; nothing on the 6th and the 7th; rows not in order."""
    midnight = 20_001 * DAY
    rows = [event(1, 3, midnight + 3 * DAY), event(1, 1, midnight - 1), event(1, 2, midnight, 0), event(2, 1, midnight + 5, 0)]
    days = by_day(tmp_path, rows)
    assert {name: [(row["user_id"], row["timestamp"], row["historical_item_ids"]) for row in found] for name, found in days.items()} == {
        "2024-10-04": [(1, midnight - 1, [])],
        "2024-10-05": [(1, midnight, [1]), (2, midnight + 5, [])],
        "2024-10-08": [(1, midnight + 3 * DAY, [1])],
    }
    whole, second = manifest_of(tmp_path / "out"), manifest_of(tmp_path / "out" / "day=2024-10-05")
    assert whole["days"] == {"2024-10-04": 1, "2024-10-05": 2, "2024-10-08": 1}
    assert whole["empty_days"] == ["2024-10-06", "2024-10-07"]
    assert whole["examples"] == {"impressions": 4} and whole["base_rate"] == {"impressions": 0.5}
    assert whole["rules"]["split"] == "none: each day in UTC is a folder of its own"
    assert second == {
        "command": "din import",
        "source": "list",
        "day": "2024-10-05",
        "time_range": {"first": midnight, "last": midnight + 5},
        "base_rate": {"impressions": 0.0},
        "empty_histories": {"impressions": 0.5},
        "examples": {"impressions": 2},
    }
    sample = (tmp_path / "out" / "day=2024-10-05" / "sample.jsonl").read_text().splitlines()
    assert [json.loads(row)["timestamp"] for row in sample] == [midnight, midnight + 5]
    assert "clicks: 50.0% of impressions" in list(lines(whole))


def test_a_day_and_a_shard_of_the_import_need_not_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of about 10 impressions: a day has several files, or a shard of the import holds several days."""
    monkeypatch.setattr("pipeline.datasets.importing.import_source.SHARD_SIZE", 10)
    times = [NOON + second for second in range(35)] + [NOON + (1 + number) * DAY for number in range(7)]
    rows = [event(user % 5, user % 3, time, user % 2) for user, time in enumerate(times)]
    days = by_day(tmp_path, rows)
    assert [len(found) for found in days.values()] == [35, *[1] * 7]
    assert [row["timestamp"] for found in days.values() for row in found] == times
    assert len(list((tmp_path / "out" / "day=2024-10-04" / "impressions").iterdir())) > 1


def test_one_file_at_a_time_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten years of days would be too many open files."""
    most, append = [0], FolderWriter._append

    def counted(self: FolderWriter, folder: str, batch: pa.RecordBatch) -> None:
        append(self, folder, batch)
        most[0] = max(most[0], len(self._shards))

    monkeypatch.setattr(FolderWriter, "_append", counted)
    assert len(by_day(tmp_path, [event(1, day % 3, NOON + day * DAY, day % 2) for day in range(50)])) == 50
    assert most == [1]


def test_negatives_are_items_that_were_seen_by_the_end_of_the_day(tmp_path: Path) -> None:
    """Items 1 and 2 are there from the first day on, 3 from the second and 4 from the third. User 9 knows item 1 alone."""
    rows = [event(user, 1, NOON + user) for user in range(3)] + [event(4, 2, NOON + 1)]
    rows += [event(5, 3, NOON + DAY), event(6, 4, NOON + 2 * DAY)]
    rows += [event(9, 1, NOON + day * DAY + second) for day in range(3) for second in range(100)]
    days = by_day(tmp_path, rows, source={"has_negatives": False}, negatives="uniform")
    drawn = [{row["candidate_item_id"] for row in found if row["user_id"] == 9 and not row["label"]} for found in days.values()]
    assert drawn == [{2}, {2, 3}, {2, 3, 4}]


def test_a_user_who_knows_all_items_of_a_day_gets_none(tmp_path: Path) -> None:
    """On the first day user 9 knows the only item; on the second, item 2 is there."""
    rows = [event(9, 1, NOON), event(9, 1, NOON + 1), event(9, 1, NOON + DAY), event(8, 2, NOON + DAY)]
    days = by_day(tmp_path, rows, source={"has_negatives": False}, negatives="uniform")
    assert {name: [(row["candidate_item_id"], row["label"]) for row in found] for name, found in days.items()} == {
        "2024-10-04": [(1, 1)],
        "2024-10-05": [(1, 1), (2, 0)],
    }
    assert manifest_of(tmp_path / "out")["negatives_not_drawn"] == 1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"split": "time"}, "--split is about splits, and a data set of days has none: leave it out, or leave out --spans"),
        ({"eval_share": 0.1}, "--eval-share is about splits"),
        ({"validation_share": 0.1}, "--validation-share is about splits"),
        ({"last": 2}, "--last is about splits"),
        ({"negatives_per_positive": 2}, "--negatives-per-positive has no effect with observed negatives"),
        ({"negatives": "popularity"}, "--negatives popularity counts the clicks of all days"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        by_day(tmp_path, [event(1, 1, NOON)], **settings)
    assert not (tmp_path / "out").exists()


def test_a_source_without_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match=r"sequences has no timestamps to cut days by: leave out --spans\."):
        import_source(Sequences(tmp_path / "lines.txt"), tmp_path / "out", ImportSettings(spans="day"))


@pytest.mark.parametrize("time", [-1, 253_402_300_800])
def test_times_without_a_date_are_refused(tmp_path: Path, time: int) -> None:
    """The second before 1970, and the first of the year 10000, where milliseconds that were taken for seconds lie too."""
    with pytest.raises(InputError, match=r"days can be from 1970 to 9999: check the unit of the times, or remove the rows\."):
        by_day(tmp_path, [event(1, 1, NOON), event(1, 2, time)])
    assert not (tmp_path / "out").exists()


def test_nothing_that_can_be_an_impression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No impression would be on any day \(1 clicks before which the user has none: in histories"):
        by_day(tmp_path, [event(1, 1, NOON)], source={"has_negatives": False}, negatives="uniform")
    assert not (tmp_path / "out").exists()


def test_the_splits_of_a_source_are_not_used(tmp_path: Path) -> None:
    rows = [event(1, item, NOON + item, split=item % 3) for item in range(6)]
    (found,) = by_day(tmp_path, rows, source={"types": {"split": pa.int8()}}).values()
    assert [row["candidate_item_id"] for row in found] == list(range(6)) and "split" not in found[0]
    assert found[-1]["historical_item_ids"] == [0, 1, 2, 3, 4]


def test_midnights() -> None:
    import numpy as np

    assert end_of_day(np.array([0, 1, DAY - 1, DAY])).tolist() == [DAY - 1, DAY - 1, DAY - 1, 2 * DAY - 1]
    assert day_starts(np.array([5, DAY - 1, DAY, 3 * DAY, 3 * DAY])) == [0, 2, 3] and day_starts(np.zeros(0, int)) == []
