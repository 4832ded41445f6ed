"""A guessed mapping is taken by an import as it is, and the import finds the rows, users, items, times and histories of the log."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets.guess.guess_mapping import guess_mapping
from pipeline.datasets.importing.import_settings import ImportSettings
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.by_name import open_source
from tests.pipeline.datasets.guess.forms import FORMS
from tests.pipeline.datasets.importing.list_source import impressions

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
RATINGS = SHARED / "data" / "ml-latest-small" / "ratings.csv"
BY_USER = ImportSettings(split="user", eval_share=0.3, validation_share=0.2)


def imported(path: Path, out: Path, settings: ImportSettings = BY_USER) -> dict[str, Any]:
    mapping = out.with_suffix(".toml")
    mapping.write_text("\n".join(guess_mapping(path)) + "\n")
    return import_source(open_source("clicklog", path, mapping), out, settings)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_imported(tmp_path: Path, name: str) -> None:
    """All forms have 30 users with 8 rows each (the log of the docs: 20 rows, 64 ads); an impression list has three candidates."""
    make, encoding = FORMS[name]
    (tmp_path / name).write_bytes(make().encode(encoding))
    text = (tmp_path / name).read_text(encoding)
    rows = {"clicks.csv": 600, "behaviors.tsv": 720}.get(name, 240)
    dropped = {"headerless.csv": 240 - text.count(",pv,"), "days.txt": text.count("|unknown")}.get(name, 0)
    manifest = imported(tmp_path / name, tmp_path / "out")
    assert (manifest["rows"]["read"], manifest["rows"]["kept"]) == (rows, rows - dropped)
    assert (manifest["users"], manifest["items"]) == (30, {"clicks.csv": 64}.get(name, 25))
    assert not [warning for warning in manifest["warnings"] if "times" in warning or "candidate" in warning]


def test_times_of_two_columns_and_of_formats(tmp_path: Path) -> None:
    """The first and the last time of each form, worked out by hand."""
    spans = {}
    for name in ("days.txt", "behaviors.tsv", "hours.csv", "tabs.tsv"):
        (tmp_path / name).write_text(FORMS[name][0]())
        spans[name] = imported(tmp_path / name, tmp_path / f"{name}.out")["time_range"]
    assert spans == {
        "days.txt": {"first": 1593561600, "last": 1593561600 + 21 * 86_400 + 23 * 3600 + 7 * 60},
        "behaviors.tsv": {"first": 1573430400, "last": 1573430400 + 60 * (29 * 7 + 7 * 400)},
        "hours.csv": {"first": 1413849600, "last": 1413849600 + 7 * 3600},
        "tabs.tsv": {"first": 1600000000, "last": 1600000000 + 29 + 7 * 60},
    }


def test_histories_are_those_of_the_log(tmp_path: Path) -> None:
    """User 2 has items 6 to 13; the fourth row of the lists has the second and the third row's history of odd places."""
    (tmp_path / "lists.csv").write_text(FORMS["lists.csv"][0]())
    imported(tmp_path / "lists.csv", tmp_path / "out")
    made = [row for rows in impressions(tmp_path / "out").values() for row in rows if row["user_id"] == 2]
    histories = {row["candidate_item_id"]: row["historical_item_ids"] for row in made}
    assert histories == {6: [], 7: [], 8: [7], 9: [7], 10: [7, 9], 11: [7, 9], 12: [7, 9, 11], 13: [7, 9, 11]}


@pytest.mark.skipif(not RATINGS.is_file(), reason=f"{RATINGS} is not here: set DIN_SHARED to the folder that has data/")
def test_the_ratings_of_movielens_are_imported(tmp_path: Path) -> None:
    """The source for MovieLens finds the same (its own test compares it with a loop over the file)."""
    manifest = imported(RATINGS, tmp_path / "out", ImportSettings())
    other = import_source(open_source("movielens", RATINGS.parent), tmp_path / "other", ImportSettings())
    for key in ("users", "items", "clicks", "time_range", "base_rate", "empty_histories", "examples"):
        assert manifest[key] == other[key]
