"""JSON lines in, JSON lines with probabilities out."""

import pytest

from components.base.errors import InputError
from pipeline.predict import score_json
from pipeline.predict.score_json import Scorer, predict_jsonl


class FakeScorer:
    """Scores an impression by its item, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def prepare(self, row):
        if "item" not in row:
            raise ValueError("feature 'item' is missing")
        return row["item"]

    def score(self, prepared, where):
        self.asked.append((prepared, where.rpartition("/")[2]))
        return [item / 10 for item in prepared]


@pytest.fixture
def file(tmp_path):
    """A function that writes lines to a file."""

    def write(*lines):
        path = tmp_path / "rows.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return path

    return write


def test_rows_keep_their_order_and_get_a_probability(file):
    rows = list(predict_jsonl(FakeScorer(), file('{"item": 3, "user": "é"}', "", '{"item": 1}')))
    assert rows == [{"item": 3, "user": "é", "probability": 0.3}, {"item": 1, "probability": 0.1}]
    assert list(predict_jsonl(FakeScorer(), file(""))) == []


def test_rows_are_scored_in_batches_that_are_named_by_their_lines(file, monkeypatch):
    monkeypatch.setattr(score_json, "_BATCH", 2)
    scorer = FakeScorer()
    list(predict_jsonl(scorer, file('{"item": 1}', "", '{"item": 2}', '{"item": 3}')))
    assert scorer.asked == [([1, 2], "rows.jsonl, lines 1 to 3"), ([3], "rows.jsonl, line 4")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"rows\.jsonl, line 2: a JSON object is needed"),
        ("{", r"rows\.jsonl is not JSON lines \(.*\): write one JSON object a line\."),
        (b"\xff", r"rows\.jsonl is not JSON lines \("),
        ("{}", r"rows\.jsonl, line 2: feature 'item' is missing\.$"),
    ],
)
def test_a_bad_line_is_a_sentence(file, line, message):
    with pytest.raises(InputError, match=message):
        list(predict_jsonl(FakeScorer(), file('{"item": 1}', line)))


def test_a_missing_file_and_a_missing_model_are_sentences(tmp_path):
    with pytest.raises(InputError, match=r"nowhere cannot be read \(No such file or directory\): give a JSONL file"):
        list(predict_jsonl(FakeScorer(), tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere holds no saved_model\.pb"):
        Scorer(tmp_path / "nowhere")
