"""The import of fields that are more than one id: prices, tags with weights, vectors, further labels, what is known after a click."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.base.tfrecord import read_batches
from pipeline.datasets.event_fields import event_columns
from pipeline.datasets.importing import import_source as importing
from pipeline.datasets.importing.import_report import lines
from pipeline.datasets.importing.list_values import count_differing
from pipeline.datasets.sources.interactions import EVENT, WITHOUT_HISTORY
from tests.pipeline.datasets.importing.list_source import ListSource, Row, brought_in

TYPES: dict[str, Any] = {
    "candidate_price": pa.float32(),
    "candidate_genres": pa.list_(pa.binary()),
    "candidate_genre_weights": pa.list_(pa.float32()),
    "candidate_image": pa.list_(pa.float32(), 2),
    "interests": pa.list_(pa.int64()),
    "mood": pa.list_(pa.float32(), 2),
    f"{EVENT}dwell_times": pa.float32(),
    f"{EVENT}actions": pa.binary(),
    "purchase": pa.bool_(),
    "position": pa.int64(),
}


@pytest.fixture(autouse=True)
def _splits_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)


def row(item: int, time: int, label: int = 1, **more: Any) -> Row:
    nothing = dict.fromkeys(TYPES) | {"purchase": False}
    return {"user_id": 7, "candidate_item_id": item, "timestamp": time, "label": label, **nothing, **more}


ROWS = [
    row(
        1, 100, candidate_price=2.5, candidate_genres=[b"a", b"b"], candidate_genre_weights=[0.5, 2.0], candidate_image=[1.0, 2.0],
        interests=[5, 6], mood=[0.25, 0.5], purchase=True, position=3, **{f"{EVENT}dwell_times": 30.0, f"{EVENT}actions": b"buy"},
    ),
    row(2, 200, candidate_genres=[], candidate_genre_weights=[]),
    row(3, 300, 0, candidate_price=9.0, candidate_genres=[b"c"], candidate_genre_weights=[1.0], candidate_image=[3.0, 4.0]),
    row(4, 400, 0, interests=[8]),
]  # fmt: skip


def imported(tmp_path: Path, rows: list[Row], **settings: Any) -> tuple[dict[str, Any], list[dict[str, list[Any]]]]:
    manifest, _ = brought_in(tmp_path, rows, source={"types": TYPES}, **settings)
    splits = (tmp_path / "out" / split for split in ("train", "validation", "eval"))
    found = [row for split in splits for path in sorted(split.iterdir()) for batch in read_batches(path) for row in batch.to_pylist()]
    return manifest, [{name: values or [] for name, values in row.items()} for row in found]


def test_each_kind_of_field_by_hand(tmp_path: Path) -> None:
    """The third impression has the history of items 1 and 2; item 2 has no price, no image and no genre."""
    manifest, made = imported(tmp_path, ROWS)
    first, second, third, fourth = made
    assert (
        first["candidate_price"] == [2.5] and first["candidate_genres"] == [b"a", b"b"] and first["candidate_genre_weights"] == [0.5, 2.0]
    )
    assert first["candidate_image"] == [1.0, 2.0] and first["interests"] == [5, 6] and first["mood"] == [0.25, 0.5]
    assert first["purchase"] == [1] and first["position"] == [3]
    assert all(first[name] == [] for name in first if name.startswith("historical_"))
    assert second["purchase"] == [0] and second["historical_genres"] == [b"a", b"b"] and second["historical_genres_lengths"] == [2]
    assert all(second.get(name, []) == [] for name in ("candidate_price", "candidate_genres", "candidate_image", "interests", "position"))
    assert third["historical_item_ids"] == [1, 2] and third["historical_timestamps"] == [100, 200]
    assert third["historical_prices"][0] == 2.5 and math.isnan(third["historical_prices"][1])
    assert third["historical_genres"] == [b"a", b"b"] and third["historical_genres_lengths"] == [2, 0]
    assert third["historical_genre_weights"] == [0.5, 2.0] and "historical_genre_weights_lengths" not in third
    assert third["historical_images"][:2] == [1.0, 2.0] and np.isnan(third["historical_images"][2:]).tolist() == [True, True]
    assert third["historical_dwell_times"][0] == 30 and math.isnan(third["historical_dwell_times"][1])
    assert third["historical_actions"] == [b"buy", b""]
    assert not any(name.startswith("__") or ("interest" in name and name.startswith("hist")) for row in made for name in row)
    assert fourth["historical_item_ids"] == [1, 2] and fourth["interests"] == [8]
    assert manifest["values"]["missing"] == {
        "candidate_price": 0.5, "candidate_genres": 0.5, "candidate_genre_weights": 0.5, "candidate_image": 0.5, "interests": 0.5,
        "mood": 0.75, "historical_dwell_times": 0.75, "historical_actions": 0.75, "position": 0.75,
    }  # fmt: skip
    assert manifest["label_rates"] == {"purchase": {"train": 0.25}}
    assert "purchase: 25.0% of train" in list(lines(manifest))


def test_a_field_may_have_no_history(tmp_path: Path) -> None:
    class Source(ListSource):
        @property
        def schema(self) -> pa.Schema:
            found = super().schema
            place = found.get_field_index("candidate_image")
            return found.set(place, found.field(place).with_metadata(WITHOUT_HISTORY))

    importing.import_source(Source([ROWS], tmp_path / "files", types=TYPES), tmp_path / "out")
    (batch,) = (batch for path in (tmp_path / "out" / "train").iterdir() for batch in read_batches(path))
    assert "candidate_image" in batch.schema.names and "historical_images" not in batch.schema.names
    assert "historical_prices" in batch.schema.names


def test_a_drawn_negative_has_the_fields_of_its_item_and_no_further_label(tmp_path: Path) -> None:
    """User 1 has clicked items 0 and 1, so that the negative can only be item 2, and the fields are those of its first row."""
    mine = [row(0, 1), row(1, 2, purchase=True, interests=[5], candidate_genres=[b"x"], candidate_price=1.0, candidate_image=[0.0, 1.0])]
    others = [
        row(2, 3, user_id=9, candidate_genres=[b"y", b"z"], candidate_price=4.0, candidate_image=[5.0, 6.0]),
        row(2, 4, user_id=9, candidate_genres=[b"y", b"q"], candidate_price=7.0, candidate_image=[5.0, 6.5]),
    ]
    manifest, made = imported(tmp_path, [*mine, *others], negatives="uniform")
    click, negative = (r for r in made if r["user_id"] == [7])
    assert (click["candidate_item_id"], click["purchase"], click["candidate_genres"]) == ([1], [1], [b"x"])
    assert (negative["candidate_item_id"], negative["label"], negative["purchase"]) == ([2], [0], [0])
    assert (
        negative["candidate_genres"] == [b"y", b"z"] and negative["candidate_price"] == [4.0] and negative["candidate_image"] == [5.0, 6.0]
    )
    assert negative["interests"] == [5]
    assert manifest["fields_of_first_row"] == {"candidate_price": 1, "candidate_genres": 1, "candidate_image": 1}


def test_of_repeated_rows_the_purchase_counts(tmp_path: Path) -> None:
    manifest, made = imported(tmp_path, [row(1, 5, 0), row(1, 5), row(1, 5, purchase=True), row(1, 5)])
    assert [(r["label"], r["purchase"]) for r in made] == [([1], [1])]
    assert sum(manifest["rows"]["dropped"].values()) == 3


def test_columns_of_events_by_hand() -> None:
    """Three rows with the events 0 and 1, none, and 2."""
    offsets = np.array([0, 2, 2, 3])

    def columns(values: list[Any], kind: pa.DataType) -> dict[str, list[Any]]:
        return {name: column.to_pylist() for name, column in event_columns("h", pa.array(values, kind), offsets).items()}

    assert columns([4, None, 5], pa.int64()) == {"h": [[4, -1], [], [5]]}
    assert columns([b"u", None, b""], pa.binary()) == {"h": [[b"u", b""], [], [b""]]}
    assert columns([[1], None, [2, 3]], pa.list_(pa.int64())) == {"h": [[1], [], [2, 3]], "h_lengths": [[1, 0], [], [2]]}
    vectors = columns([[1, 2], [3, 4], None], pa.list_(pa.float32(), 2))["h"]
    assert vectors[:2] == [[1, 2, 3, 4], []] and np.isnan(vectors[2]).all() and len(vectors[2]) == 2


def test_lists_are_compared_row_by_row() -> None:
    first = pa.array([[1, 2], [1], [], None, [3, 4], [5]], pa.list_(pa.int64()))
    second = pa.array([[1, 2], [2], [], [], [3], [5]], pa.list_(pa.int64()))
    assert count_differing(first, second) == 2
    assert count_differing(pa.array([1.0, None]), pa.array([2.0, 1.0])) == 1
