"""Text with a line end or NUL fits in no vocabulary: in every source such a row is broken, and named or counted (case 16 of the issue)."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.by_name import open_source
from pipeline.datasets.sources.interactions import Tally

MAPPING = '[columns]\nuser_id = "user"\ncandidate_item_id = "item"\nplace = "place"\n'


def amazon(folder: Path, text: str) -> tuple[str, Path, None]:
    reviews = [{"reviewerID": "A", "asin": f"B{text}", "unixReviewTime": 1}, {"reviewerID": "A", "asin": "B1", "unixReviewTime": 2}]
    return "amazon", written(folder / "reviews_Books_5.json", reviews), None


def clicklog(folder: Path, text: str) -> tuple[str, Path, Path]:
    (folder / "mapping.toml").write_text(MAPPING)
    rows = [{"user": "u", "item": f"i{text}", "place": "x"}, {"user": "u", "item": "i2", "place": "x"}]
    return "clicklog", written(folder / "log.jsonl", rows), folder / "mapping.toml"


def feature(folder: Path, text: str) -> tuple[str, Path, Path]:
    (folder / "mapping.toml").write_text(MAPPING)
    rows = [{"user": "u", "item": "i1", "place": f"x{text}"}, {"user": "u", "item": "i2", "place": "x"}]
    return "clicklog", written(folder / "log.jsonl", rows), folder / "mapping.toml"


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("text", ["\r", "\n", "\0", "\r\n", "x\n"])
@pytest.mark.parametrize("make", [amazon, clicklog, feature])
def test_such_a_row_is_broken(tmp_path: Path, make: Any, text: str) -> None:
    name, path, mapping = make(tmp_path, text)
    source = open_source(name, path, mapping)
    with pytest.raises(InputError, match=rf"{path.name}, line 1: "):
        list(source.read(path, Tally()))
    tally = Tally(skip_broken=True)
    assert sum(batch.num_rows for batch in source.read(path, tally)) == 1
    assert tally.dropped == {"broken lines": 1}


def test_a_genre_with_nul_is_broken(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,5\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,x,a\0b\n")
    tally = Tally(skip_broken=True)
    (batch,) = open_source("movielens", tmp_path).read(tmp_path / "ratings.csv", tally)
    assert batch.column("candidate_category_id").to_pylist() == [b"(unknown)"]
    assert tally.notes == {"broken lines of movies.csv, whose items count as unknown": 1}
